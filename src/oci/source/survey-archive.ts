/**
 * The survey of an archive, compressed or not: all of it is looked at, because what says what it is
 * may stand at its end.
 *
 * @module
 */
import { FormatError } from "../../errors.ts";
import type { TarEntry } from "../../tar/entry.ts";
import type { FileRange } from "../blob.ts";
import { SNIFF_BYTES, type Sniffed, isTar, sniff } from "../codec/sniff.ts";
import { memberName } from "./member-name.ts";
import { type Finding, Survey } from "./survey.ts";
import { type TarVisitor, scanTar, scanTarStream } from "./tar-scan.ts";

/** Surveys an archive that is not compressed. */
export function surveyArchive(range: FileRange, label: string): Finding {
  const survey = new Survey("archive");
  scanTar(range, visitorOf(survey), label);
  return survey.finding();
}

/** What compressed bytes are found to be: an archive, or compressed once more. */
export type Surveyed = Finding | { readonly kind: "compressed"; readonly by: Sniffed };

/**
 * Surveys an archive by its decompressed bytes. Unless they are compressed once more, all of them
 * are taken.
 *
 * @throws {@link FormatError} `BAD_MAGIC` when they are no tar archive
 */
export async function surveyStream(
  chunks: AsyncIterable<Uint8Array>,
  label: string,
): Promise<Surveyed> {
  const survey = new Survey("archive");
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    const head = await takeHead(iterator);
    const by = sniff(head);
    if (by !== "none") return { kind: "compressed", by };
    if (!isTar(head) && head.some((byte) => byte !== 0)) {
      const message = `${label}: expected a tar archive when decompressed, got something else`;
      throw new FormatError("BAD_MAGIC", message, { hint: "decompress it to see what it is" });
    }
    await scanTarStream(rest(head, iterator), visitorOf(survey), label);
  } finally {
    await iterator.return?.();
  }
  return survey.finding();
}

/** Enough bytes to tell what they are, or all there are. */
async function takeHead(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let head = Buffer.alloc(0);
  while (head.length < SNIFF_BYTES) {
    const { value, done } = await iterator.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  return head;
}

async function* rest(
  head: Uint8Array,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield head;
  for (;;) {
    const { value, done } = await iterator.next();
    if (done === true) return;
    yield value;
  }
}

function visitorOf(survey: Survey): TarVisitor {
  const nameOf = ({ path }: TarEntry) => memberName(path);
  return {
    entry: (entry) => {
      if (entry.type !== "directory") return survey.add(nameOf(entry), entry.type === "file");
      survey.addFolder();
      return 0;
    },
    content: (entry, bytes) => survey.content(nameOf(entry), bytes),
  };
}
