/** Archives in which checksums are no obstacle. @module */
import { fixChecksum } from "../support/tar.ts";

/** Every block that may be a header gets its checksum, or none would be read. */
export function withChecksums(data: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(data);
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    const magic = String.fromCharCode(...block.subarray(257, 262));
    if (magic === "ustar") fixChecksum(block);
  }
  return bytes;
}
