/**
 * CRC-32C (Castagnoli) as EROFS uses it for its superblock: register preset to all ones and not
 * inverted at the end.
 *
 * Spec: RFC 3720, section 12.1 (polynomial 0x1EDC6F41, reflected).
 *
 * @module
 */

const POLYNOMIAL = 0x82f63b78; // reflected
const PRESET = 0xffffffff;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? POLYNOMIAL : 0);
  return value;
});

/** The register after `bytes`, an unsigned 32-bit number; the usual CRC-32C is its inverse. */
export function crc32c(bytes: Uint8Array, register = PRESET): number {
  let value = register;
  for (const byte of bytes) value = table[(value ^ byte) & 0xff]! ^ (value >>> 8);
  return value >>> 0;
}
