/**
 * `Content-Encoding`, which nobody was asked for and some send all the same: storage that was told
 * so when a file was put there, where the bytes are as they are, and proxies that compress
 * everything. Which it is shows in the length or in the first bytes; whether it was right, in the
 * digest.
 *
 * Spec: RFC 9110, 8.4; docs/hostile-inputs.md, 124 and 125.
 *
 * @module
 */
import { type Transform, Readable, pipeline } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { NetworkError, SealfsError } from "../errors.ts";

/** Those that are taken off. */
export type Encoding = "gzip" | "deflate" | "br";

const KNOWN: ReadonlyMap<string, Encoding> = new Map([
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
]);

/** The value of a header, as it came. */
type Value = string | readonly string[] | undefined;

/** The header's value, made short for messages; undefined for none. */
export function encodingName(value: Value): string | undefined {
  if (value === undefined || value === "identity" || value === "") return undefined;
  return String(value).slice(0, 80);
}

/** Undefined for none, for several, and for one that is not known. */
export function encodingOf(value: Value): Encoding | undefined {
  return KNOWN.get(encodingName(value)?.trim().toLowerCase() ?? "");
}

/** Encoding what is as short as it can be makes it a little longer; more is no encoding of it. */
export function mostEncoded(bytes: number): number {
  return bytes + Math.ceil(bytes / 64) + 64 * 1024;
}

interface DecodedRules {
  readonly what: string;
  /** Bytes without the encoding: no more than one of over these is made. */
  readonly max: number;
}

/**
 * The bytes of `body` without the encoding.
 *
 * @throws {@link NetworkError} `BAD_RESPONSE` when it is not encoded so, `WRONG_SIZE` over `max`;
 *   what `body` throws
 */
export async function* decoded(
  body: AsyncIterable<Uint8Array>,
  encoding: Encoding,
  { what, max }: DecodedRules,
): AsyncGenerator<Uint8Array, void> {
  const transform = decoderOf(encoding);
  // An error of the body is the decoder's then.
  pipeline(Readable.from(body), transform, () => undefined);
  let left = max;
  try {
    for await (const chunk of transform as AsyncIterable<Uint8Array>) {
      left -= chunk.length;
      if (left < 0) {
        const message = `${what}: expected at most ${max} bytes, got more in Content-Encoding ${encoding}`;
        throw new NetworkError("WRONG_SIZE", message);
      }
      yield chunk;
    }
  } catch (error) {
    if (error instanceof SealfsError) throw error;
    const why = `its Content-Encoding ${encoding} is broken`;
    throw new NetworkError("BAD_RESPONSE", `${what}: ${why}`, { cause: error });
  } finally {
    transform.destroy();
  }
}

function decoderOf(encoding: Encoding): Transform {
  switch (encoding) {
    case "gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    case "br":
      return createBrotliDecompress();
  }
}

/** A document that may be encoded as its header says, or as it is: its first bytes tell. */
export async function* decodedDocument(
  body: AsyncGenerator<Uint8Array, void>,
  encoding: Encoding,
  rules: DecodedRules,
): AsyncGenerator<Uint8Array, void> {
  const first = await body.next();
  if (first.done === true) return;
  const all = prepend(first.value, body);
  try {
    yield* isEncoded(first.value, encoding) ? decoded(all, encoding, rules) : all;
  } finally {
    await body.return();
  }
}

async function* prepend(
  first: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  yield first;
  yield* rest;
}

/** RFC 1952, 2.3.1; RFC 1950, 2.2. Brotli has no mark, but no text that begins like JSON either. */
function isEncoded(bytes: Uint8Array, encoding: Encoding): boolean {
  switch (encoding) {
    case "gzip":
      return bytes[0] === 0x1f;
    case "deflate":
      return (bytes[0]! & 0x0f) === 8 && !isText(bytes);
    case "br":
      return !isText(bytes);
  }
}

function isText(bytes: Uint8Array): boolean {
  return /^\s*[[{<"]/.test(Buffer.from(bytes.subarray(0, 64)).toString("latin1"));
}
