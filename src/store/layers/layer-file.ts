/**
 * The frame of a file in which a store remembers something of a layer: a header, the content, and a
 * checksum over both. What is not whole and of this version counts as absent.
 *
 * Spec: docs/store.md, "Remembered layers".
 *
 * @module
 */
import { createHash } from "node:crypto";
import { ascii, toBytes } from "../../bytes/bytestring.ts";
import { raw, struct, u16, u32, u64, u8 } from "../../bytes/struct.ts";
import { FormatError, IntegrityError } from "../../errors.ts";
import type { VerityAlgorithm } from "../../verity/verity-digest.ts";

/** Raised with every change of the format, and of what reading a layer gives. */
export const LAYER_FILE_VERSION = 1;

export const LAYER_FILE_MAGIC = toBytes(ascii("SEALLAYR"));

export const LayerFileHeader = struct("remembered layer", 24, {
  magic: raw(8),
  version: u32,
  kind: u8, // 1 entries, 2 blob
  algorithm: u8, // of the digests of objects: 1 sha256, 2 sha512
  reserved: u16,
  bytes: u64, // of the content
});

const kinds = ["entries", "blob"] as const;
const algorithms = ["sha256", "sha512"] as const satisfies VerityAlgorithm[];
const CHECKSUM_BYTES = 32;

/** What a file is about. */
export interface LayerFileAbout {
  readonly kind: (typeof kinds)[number];
  readonly algorithm: VerityAlgorithm;
}

/** The file with this content, in parts. */
export function frame({ kind, algorithm }: LayerFileAbout, content: Uint8Array): Uint8Array[] {
  const header = LayerFileHeader.encode({
    magic: LAYER_FILE_MAGIC,
    version: LAYER_FILE_VERSION,
    kind: kinds.indexOf(kind) + 1,
    algorithm: algorithms.indexOf(algorithm) + 1,
    reserved: 0,
    bytes: BigInt(content.length),
  });
  return [header, content, checksum(header, content)];
}

/**
 * The content of a file that is about `about`, and whole.
 *
 * @throws {@link FormatError} `UNSUPPORTED` for another version; `BAD_MAGIC`, `TRUNCATED` or
 *   `MALFORMED` for what is no such file
 * @throws {@link IntegrityError} `DIGEST_MISMATCH` for one that was changed
 */
export function unframe({ kind, algorithm }: LayerFileAbout, bytes: Uint8Array): Uint8Array {
  const header = LayerFileHeader.decode(bytes);
  if (!LAYER_FILE_MAGIC.every((byte, at) => header.magic[at] === byte)) {
    throw new FormatError("BAD_MAGIC", "remembered layer: expected one, got something else");
  }
  if (header.version !== LAYER_FILE_VERSION) {
    const message = `remembered layer: expected version ${LAYER_FILE_VERSION}, got ${header.version}`;
    throw new FormatError("UNSUPPORTED", message);
  }
  const end = bytes.length - CHECKSUM_BYTES;
  if (end < LayerFileHeader.size || header.bytes !== BigInt(end - LayerFileHeader.size)) {
    const message = `remembered layer: expected ${header.bytes} bytes, got a file of ${bytes.length}`;
    throw new FormatError("TRUNCATED", message);
  }
  const front = bytes.subarray(0, LayerFileHeader.size);
  const content = bytes.subarray(LayerFileHeader.size, end);
  if (!checksum(front, content).equals(bytes.subarray(end))) {
    throw new IntegrityError("DIGEST_MISMATCH", "remembered layer: its checksum is another");
  }
  if (kinds[header.kind - 1] === kind && algorithms[header.algorithm - 1] === algorithm) {
    return content;
  }
  throw new FormatError("MALFORMED", `remembered layer: expected ${kind} with ${algorithm}`);
}

function checksum(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
