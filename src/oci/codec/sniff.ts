/**
 * What the first bytes of a file say it is, where nothing declares the format or the bytes
 * contradict what does.
 *
 * @module
 */
import type { Compression } from "../media-types.ts";

/** Bytes from the start that {@link sniff} wants. */
export const SNIFF_BYTES = 512;

export type Sniffed = Compression | "bzip2" | "xz" | "lz4" | "lzip" | "lzop" | "lzma" | "compress";

const MAGICS: readonly (readonly [Exclude<Sniffed, "none">, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["lz4", [0x04, 0x22, 0x4d, 0x18]],
  ["lzip", [0x4c, 0x5a, 0x49, 0x50, 0x01]],
  ["lzop", [0x89, 0x4c, 0x5a, 0x4f, 0x00]],
  // Properties and the smallest dictionary bytes: lzma has no magic number.
  ["lzma", [0x5d, 0x00, 0x00]],
  ["compress", [0x1f, 0x9d]],
];

/** The compression that `head` starts with; a tar header is "none" whatever its first name. */
export function sniff(head: Uint8Array): Sniffed {
  if (isTar(head)) return "none";
  return MAGICS.find(([name]) => hasMagic(head, name))?.[0] ?? "none";
}

/** Whether `head` starts as a file of that compression does. */
export function hasMagic(head: Uint8Array, compression: Exclude<Sniffed, "none">): boolean {
  const starts = ([name, magic]: (typeof MAGICS)[number]) =>
    name === compression && magic.every((byte, i) => head[i] === byte);
  return MAGICS.some(starts) || (compression === "zstd" && isSkippable(head));
}

/** A zstd skippable frame: 0x184D2A50 to 0x184D2A5F (RFC 8878, section 3.1.2). */
function isSkippable(head: Uint8Array): boolean {
  return (head[0]! & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18;
}

/** Whether `head` is a tar header: its checksum, as sum of unsigned or of signed bytes, holds. */
export function isTar(head: Uint8Array): boolean {
  if (head.length < 512) return false;
  const field = /^[ 0]*([0-7]{1,7})[ \0]/.exec(String.fromCharCode(...head.subarray(148, 156)));
  if (field === null) return false;
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < 512; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : head[i]!;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const sum = Number.parseInt(field[1]!, 8);
  return sum === unsigned || sum === signed;
}
