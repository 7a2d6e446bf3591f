/**
 * Parts of what a web server has, whether it can give parts or not.
 *
 * @module
 */
import { NetworkError } from "../errors.ts";
import { refusesPart } from "../http/answer.ts";
import { defined } from "../optional.ts";
import type { GoodResponse, HttpClient } from "../http/client.ts";
import { slice } from "../http/slice.ts";
import { type ByteRange, RestartError, type Validator } from "./source.ts";

/** A resource and how to ask for it. */
export interface HttpResource {
  readonly client: HttpClient;
  readonly url: URL;
  /** Bytes of the whole. */
  readonly size: number;
  readonly authorization?: string | undefined;
  /** As of a GET. */
  readonly mayBeEncoded?: boolean;
}

export interface HttpRead {
  readonly signal?: AbortSignal | undefined;
  readonly validator?: Validator | undefined;
  /** Hears of every byte, also of those that are passed over. */
  readonly onBytes: (bytes: number) => void;
  /** Hears that the server gave all though a part was asked for. */
  readonly onWhole: () => void;
}

/**
 * The bytes of a range. A server that answers with all of it is taken at its word: what lies before is
 * passed over, and the connection ends where the range does.
 *
 * @throws {@link RestartError} when it has another version than it had at first, or may have
 * @throws {@link NetworkError}
 */
export async function* readHttp(
  resource: HttpResource,
  range: ByteRange,
  read: HttpRead,
): AsyncGenerator<Uint8Array, void> {
  const { size } = resource;
  const isWhole = range.start === 0 && range.end === size;
  const response = await ask(resource, isWhole ? undefined : range, read);
  try {
    if (!isWhole && response.status === 200) read.onWhole();
    compareVersion(response, range, read.validator);
    const body = counted(response.body, read.onBytes);
    yield* slice({ ...response, body }, range.start, range.end);
  } finally {
    await response.discard();
  }
}

async function ask(
  { client, url, size, authorization, mayBeEncoded }: HttpResource,
  range: ByteRange | undefined,
  { signal, validator }: HttpRead,
): Promise<GoodResponse> {
  const etag = validator?.etag;
  const common = { expectedSize: size, authorization, signal, mayBeEncoded };
  try {
    const headers = defined({ "if-range": range && etag });
    return await client.get(url, { ...common, range, headers });
  } catch (error) {
    if (range === undefined || !refusesPart(error)) throw error;
    const isResumed = validator?.isSet === true;
    if (isResumed && error instanceof NetworkError && error.code === "RANGE") {
      throw new RestartError(error.message, { cause: error });
    }
    return client.get(url, common);
  }
}

/** What comes has to be of the version that came first. */
function compareVersion(
  { headers, status, url }: GoodResponse,
  { start }: ByteRange,
  validator: Validator | undefined,
): void {
  if (validator === undefined) return;
  const { etag } = headers;
  // A weak one says less than that the bytes are the same (RFC 9110, 8.8.1).
  const strong = typeof etag === "string" && !etag.startsWith("W/") ? etag : undefined;
  // Two parts without a tag may go together; all in place of a part, only when it is sure to.
  const goes = strong === validator.etag && (status === 206 || strong !== undefined);
  if (validator.isSet && start > 0 && !goes) {
    throw new RestartError(`${url.origin}${url.pathname}: has another version now, or may have`);
  }
  validator.isSet = true;
  validator.etag = strong;
}

async function* counted(
  body: GoodResponse["body"],
  onBytes: (bytes: number) => void,
): GoodResponse["body"] {
  for await (const chunk of body) {
    onBytes(chunk.length);
    yield chunk;
  }
}
