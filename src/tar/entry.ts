/**
 * What a tar archive holds: entries with their metadata, and the sinks that take the content of
 * regular files.
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";

/** What an entry makes. */
export type TarEntryType =
  "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";

/** One entry, after its extended headers have been applied. */
export interface TarEntry {
  readonly type: TarEntryType;
  /** As in the archive: neither normalised nor checked beyond having no NUL. */
  readonly path: ByteString;
  /** Target of a symlink or hard link as in the archive, never empty; empty for other types. */
  readonly linkPath: ByteString;
  /** Permission bits only: the header's mode & 07777. */
  readonly mode: number;
  /** 32 bits. */
  readonly uid: number;
  /** 32 bits. */
  readonly gid: number;
  /** Bytes of a regular file (expanded, when it is sparse); 0 for other types. */
  readonly size: number;
  /** Seconds since the epoch, rounded down; 64 bits signed. */
  readonly mtimeSeconds: bigint;
  /** 0 to 999 999 999, added to the seconds. */
  readonly mtimeNanoseconds: number;
  /** Linux `new_encode_dev` of a device's numbers; 0 for other types. */
  readonly rdev: number;
  /** From `SCHILY.xattr.*`: full name to value, in archive order. */
  readonly xattrs: ReadonlyMap<ByteString, ByteString>;
  /** Where the entry's own header (not an extended one before it) starts in the archive. */
  readonly headerOffset: number;
  /** Where the stored content starts in the archive. */
  readonly dataOffset: number;
  /** Whether the header of something without content has a size, of which no notice was taken. */
  readonly sizeIgnored: boolean;
  /**
   * Of a sparse file, whose stored content is not all of it: offset in the file and length of each
   * segment, alternately. They are stored from `dataOffset` on; everything else is zeros.
   */
  readonly segments: readonly number[] | undefined;
}

/** Takes the content of one regular file. */
export interface ContentSink {
  /** Some more bytes. `chunk` is a view that is only valid during the call. */
  write(chunk: Uint8Array): void;
  /** All `size` bytes were written. */
  end(): void;
}

/** Takes the entries of an archive, in archive order. */
export interface TarHandler {
  /** A sink is used only for regular files with `size > 0`; without one, the content is skipped. */
  entry(entry: TarEntry): ContentSink | undefined;
}
