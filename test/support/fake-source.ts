/**
 * Sources of objects that do as they are told.
 *
 * @module
 */
import { IntegrityError, NotFoundError, NetworkError } from "../../src/errors.ts";
import type {
  ByteRange,
  ObjectSource,
  ReadOptions,
  SourceKind,
  WantedObject,
} from "../../src/mirror/source.ts";
import { Gate } from "./gate.ts";
import { type VerityDigest } from "../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../src/verity/hasher.ts";

/** An object made of its content. */
export function wanted(content: Uint8Array): WantedObject {
  return { digest: verityDigestOf(content), size: content.length };
}

/** One that `waits` goes on when its gate is opened; one that `drips` gives five bytes a second. */
type Behaviour = "good" | "wrong" | "dead" | "missing" | "hangs" | "waits" | "drips";

/** A source with these contents; what it does may be changed while it is in use. */
export class FakeSource implements ObjectSource {
  readonly name: string;
  readonly kind: SourceKind;
  behaviour: Behaviour;
  /** Requests that came. */
  asked = 0;
  /** Where what `waits` waits. */
  readonly gate = new Gate();
  readonly #contents: ReadonlyMap<VerityDigest, Uint8Array>;

  constructor(
    name: string,
    contents: readonly Uint8Array[],
    behaviour: Behaviour = "good",
    kind: SourceKind = "mirror",
  ) {
    this.name = name;
    this.kind = kind;
    this.behaviour = behaviour;
    this.#contents = new Map(contents.map((content) => [verityDigestOf(content), content]));
  }

  cost({ digest, size }: WantedObject, range?: ByteRange): number | undefined {
    if (!this.#contents.has(digest)) return undefined;
    return range === undefined ? size : range.end - range.start;
  }

  async *read(
    { digest }: WantedObject,
    { start, end }: ByteRange,
    { signal }: ReadOptions,
  ): AsyncIterable<Uint8Array> {
    this.asked += 1;
    const content = this.#contents.get(digest)!.subarray(start, end);
    await Promise.resolve();
    switch (this.behaviour) {
      case "dead":
        throw new NetworkError("UNREACHABLE", `${this.name}: connection refused`);
      case "missing":
        throw new NotFoundError("NO_OBJECT", `${this.name}: 404 Not Found`);
      case "wrong":
        yield content.map((byte) => byte ^ 1);
        return;
      case "hangs":
        await new Promise(() => undefined);
        return;
      case "drips":
        for (let at = 0; at < content.length; at++) {
          await new Promise((resolve) => setTimeout(resolve, 200));
          signal?.throwIfAborted();
          yield content.subarray(at, at + 1);
        }
        return;
      case "waits":
        await this.gate.opened;
        yield content;
        return;
      case "good":
        yield content;
    }
  }
}

/** Reads all of an object from a source and checks it, as an attempt of a failover does. */
export async function readWhole(
  source: ObjectSource,
  object: WantedObject,
  attempt: { signal: AbortSignal; progress: (bytes: number) => void },
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const range = { start: 0, end: object.size };
  for await (const chunk of source.read(object, range, { signal: attempt.signal })) {
    parts.push(chunk.slice());
    attempt.progress(chunk.length);
  }
  const bytes = Buffer.concat(parts);
  const got = verityDigestOf(bytes);
  if (got === object.digest) return bytes;
  throw new IntegrityError("DIGEST_MISMATCH", `${source.name}: got ${got}`);
}
