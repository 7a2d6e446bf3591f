/**
 * The two headers of an image: what must hold before anything else can be located.
 *
 * Spec: docs/image-format.md, "Composefs header", "Superblock" and "What the reader accepts".
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import {
  BLOCK_BITS,
  COMPOSEFS_EROFS_FLAVOUR,
  COMPOSEFS_MAGIC,
  ComposefsHeader,
  EROFS_MAGIC,
  SUPERBLOCK_OFFSET,
  Superblock,
} from "./format.ts";

/** The composefs header as stored. */
export type Header = ReturnType<typeof ComposefsHeader.decode>;
/** The EROFS superblock as stored. */
export type SuperblockFields = ReturnType<typeof Superblock.decode>;

/**
 * Decodes the composefs header.
 *
 * @throws {@link FormatError} `TRUNCATED`, `BAD_MAGIC` when this is no composefs image, or
 *   `UNSUPPORTED` for a version this program does not know
 */
export function readHeader(bytes: Uint8Array): Header {
  const header = ComposefsHeader.decode(bytes);
  expectValue("BAD_MAGIC", "composefs header: magic", header.magic, COMPOSEFS_MAGIC);
  expectValue("UNSUPPORTED", "composefs header: version", header.version, COMPOSEFS_EROFS_FLAVOUR);
  if (header.composefsVersion > 1) {
    throw new FormatError(
      "UNSUPPORTED",
      `composefs header: expected format version 0 or 1, got ${header.composefsVersion}`,
    );
  }
  return header;
}

/**
 * Decodes the superblock, and refuses the EROFS features that would change where things lie.
 *
 * @throws {@link FormatError} `TRUNCATED`, `BAD_MAGIC` or `UNSUPPORTED`
 */
export function readSuperblock(bytes: Uint8Array): SuperblockFields {
  const superblock = Superblock.decode(bytes, SUPERBLOCK_OFFSET);
  expectValue("BAD_MAGIC", "superblock: magic", superblock.magic, EROFS_MAGIC);
  expectValue("UNSUPPORTED", "superblock: block size bits", superblock.blkszbits, BLOCK_BITS);
  expectValue("UNSUPPORTED", "superblock: feature_incompat", superblock.featureIncompat, 0);
  expectValue("UNSUPPORTED", "superblock: meta_blkaddr", superblock.metaBlkaddr, 0);
  return superblock;
}

function expectValue(code: FormatError["code"], what: string, got: number, expected: number): void {
  if (got === expected) return;
  const text = (value: number) => (value > 255 ? `0x${value.toString(16)}` : String(value));
  throw new FormatError(code, `${what}: expected ${text(expected)}, got ${text(got)}`);
}
