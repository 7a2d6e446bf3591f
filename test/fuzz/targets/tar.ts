/** Archives: how they are cut into chunks changes nothing, and entries keep to their sizes. */
import { createHash } from "node:crypto";
import { SealfsError } from "../../../src/errors.ts";
import type { TarEntry } from "../../../src/tar/entry.ts";
import { randomTar } from "../../support/random-tar.ts";
import { TarParser } from "../../../src/tar/parser.ts";
import { withChecksums } from "../checksums.ts";
import { pieces, same } from "../invariant.ts";
import { tarLists } from "../oracles/tar-lists.ts";

export const oracles = [tarLists];
export const unit = 512;
export const fresh = (seed: number) => randomTar(seed).bytes;

/** Of a sparse file that is nearly all hole, some zeros; more take time and show nothing. */
const MOST_BYTES = 16 * 1024 * 1024;

export function fuzz(data: Uint8Array): void {
  const bytes = withChecksums(data);
  for (const strict of [false, true]) {
    same(read([bytes], strict), read(pieces(bytes), strict), "in one piece, and in several");
  }
}

/** What the parser tells of an archive, up to its end or its error. */
function read(chunks: Iterable<Uint8Array>, strict: boolean) {
  const told: unknown[] = [];
  const entry = (entry: TarEntry) => {
    told.push(entry);
    const hash = createHash("sha256");
    let left = entry.size;
    return {
      write(chunk: Uint8Array) {
        left -= chunk.length;
        hash.update(chunk);
      },
      end() {
        same(0, left, "bytes of an entry that did not come");
        told.push(hash.digest("hex"));
      },
    };
  };
  const parser = new TarParser(
    { entry },
    { strict, maxBytes: MOST_BYTES, warn: (message) => void told.push(message) },
  );
  try {
    for (const chunk of chunks) parser.write(chunk);
    parser.end();
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    told.push(error.code, error.message);
  }
  return told;
}
