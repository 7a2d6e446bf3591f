/**
 * One pass over the headers of a tar archive, and over so much of each file as a visitor asks for.
 *
 * @module
 */
import { printable } from "../../bytes/bytestring.ts";
import { FormatError } from "../../errors.ts";
import { readFully } from "../../fs/descriptor-io.ts";
import type { TarEntry, TarHandler } from "../../tar/entry.ts";
import { TarParser } from "../../tar/parser.ts";
import type { FileRange } from "../blob.ts";

export interface TarVisitor {
  /** Hears of an entry, and returns of how many bytes of its content it wants to hear. */
  entry(entry: TarEntry): number;
  /** The bytes that were wanted, or as many as there are. */
  content?(entry: TarEntry, bytes: Uint8Array): void;
}

// Large enough for a run of small files, small enough to throw away at a large one.
const WINDOW = 64 * 1024;
const SKIP = new Uint8Array(1024 * 1024);

/**
 * Visits an archive in a file; content that nobody wants is not read.
 *
 * @throws {@link FormatError}, and what the visitor throws
 */
export function scanTar(range: FileRange, visitor: TarVisitor, label: string): void {
  const skip = { from: 0, to: 0 };
  const parser = new TarParser(
    handlerOf(visitor, ({ path, dataOffset, size, segments }, wanted) => {
      if (segments !== undefined) return; // what is stored of it is read
      [skip.from, skip.to] = [dataOffset + wanted, dataOffset + size];
      if (skip.to <= range.size) return;
      const message = `${printable(path)} ends at ${skip.to}, the archive at ${range.size}`;
      throw new FormatError("TRUNCATED", message);
    }),
  );
  const window = new Uint8Array(WINDOW);
  try {
    while (parser.offset < range.size) {
      // Content that nobody takes may as well be zeros: it need not be read to be passed over.
      while (parser.offset >= skip.from && parser.offset < skip.to) {
        parser.write(SKIP.subarray(0, Math.min(SKIP.length, skip.to - parser.offset)));
      }
      const length = Math.min(WINDOW, range.size - parser.offset);
      const got = readFully(range.fd, window.subarray(0, length), range.offset + parser.offset);
      if (got === 0) break;
      parser.write(window.subarray(0, got));
    }
    parser.end();
  } catch (error) {
    throw labelled(error, label);
  }
}

/** Visits an archive that comes as chunks; all of them are taken. */
export async function scanTarStream(
  chunks: AsyncIterable<Uint8Array>,
  visitor: TarVisitor,
  label: string,
): Promise<void> {
  const parser = new TarParser(handlerOf(visitor, () => undefined));
  try {
    for await (const chunk of chunks) parser.write(chunk);
    parser.end();
  } catch (error) {
    throw labelled(error, label);
  }
}

/** Errors of the tar parser do not name the archive. */
export function labelled(error: unknown, label: string): unknown {
  if (!(error instanceof FormatError) || error.message.includes(label)) return error;
  const { code, message, hint } = error;
  return new FormatError(code, `${label}: ${message}`, { cause: error, hint });
}

function handlerOf(
  visitor: TarVisitor,
  onFile: (entry: TarEntry, wanted: number) => void,
): TarHandler {
  return {
    entry(entry) {
      const wanted = Math.min(visitor.entry(entry), entry.size);
      if (entry.type === "file") onFile(entry, wanted);
      if (wanted === 0) return undefined;
      const bytes = new Uint8Array(wanted);
      let got = 0;
      return {
        write(chunk) {
          const part = chunk.subarray(0, wanted - got);
          bytes.set(part, got);
          got += part.length;
        },
        end: () => visitor.content?.(entry, bytes),
      };
    },
  };
}
