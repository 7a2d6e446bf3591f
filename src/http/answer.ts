/**
 * Whether an answer is one to the request: its status, encoding, range and length.
 * Spec: RFC 9110; docs/hostile-inputs.md, 114, 124 to 136.
 *
 * @module
 */
import { NetworkError } from "../errors.ts";
import { wrongSize } from "./body.ts";
import { type Encoding, encodingName, encodingOf } from "./encoding.ts";

/** Header names in lower case, each value as it came. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What was asked for. */
export interface Asked {
  readonly range?: { readonly start: number; readonly end: number } | undefined;
  /** Bytes of the whole resource. */
  readonly expectedSize?: number | undefined;
  readonly maxBytes?: number | undefined;
  /**
   * What comes is compared with a digest: a Content-Encoding is borne, and taken off where the
   * length says that it is there. Needs `expectedSize`.
   */
  readonly mayBeEncoded?: boolean | undefined;
}

/** What a good answer's body has. */
export interface Extent {
  /** Where its first byte lies in the resource. */
  readonly start: number;
  /** Its bytes; undefined when the answer does not say. */
  readonly bytes: number | undefined;
  /** Bytes of the whole resource; undefined when the answer does not say. */
  readonly total: number | undefined;
  readonly max: number;
  /** What has to be taken off; `bytes`, `total` and `max` are without it. */
  readonly encoding?: Encoding;
}

/**
 * What the body of an answer with status 200 or 206 has to be.
 *
 * @throws {@link NetworkError} `BAD_RESPONSE` or `WRONG_SIZE` for an answer to something else; by
 *   its status for what is no good answer
 */
export function extentOf(status: number, headers: Headers, asked: Asked, what: string): Extent {
  const { range, expectedSize, maxBytes = expectedSize ?? Infinity } = asked;
  if (status !== 200 && status !== 206) {
    throw statusFailure(status, headers, what, range !== undefined);
  }
  const name = encodingName(headers["content-encoding"]);
  if (name !== undefined && asked.mayBeEncoded !== true) throw isEncoded(what, name);
  if (status === 206) return partial(headers, asked, what);
  const declared = contentLength(headers, what);
  if (declared !== expectedSize && expectedSize !== undefined && name !== undefined) {
    const encoding = encodingOf(name);
    if (encoding === undefined) throw isEncoded(what, name);
    return { start: 0, bytes: expectedSize, total: expectedSize, max: expectedSize, encoding };
  }
  if (declared !== undefined) {
    const isWrong = expectedSize === undefined ? declared > maxBytes : declared !== expectedSize;
    if (isWrong) throw wrongSize(what, expectedSize, maxBytes, String(declared));
  }
  const bytes = expectedSize ?? declared;
  if (bytes === undefined && headers["transfer-encoding"] === undefined) {
    // It would end with its connection, and so look whole wherever it is cut.
    throw new NetworkError("BAD_RESPONSE", `${what}: the answer does not say where it ends`);
  }
  return { start: 0, bytes, total: bytes, max: maxBytes };
}

const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i;

function partial(
  headers: Headers,
  { range: asked, expectedSize, maxBytes = Infinity }: Asked,
  what: string,
): Extent {
  const bad = (why: string) => new NetworkError("BAD_RESPONSE", `${what}: ${why}`);
  if (/^multipart\//i.test(single(headers, "content-type", what) ?? "")) {
    throw bad("answers with several parts though one was asked for");
  }
  const text = single(headers, "content-range", what) ?? "none";
  const [, from, to, of] = CONTENT_RANGE.exec(text) ?? [];
  if (asked === undefined && (Number(from) !== 0 || Number(to) + 1 !== Number(of))) {
    throw bad("answers with a part (206) though no part was asked for");
  }
  // A part that is the whole.
  const range = asked ?? { start: 0, end: Number(of) };
  // A cache may know the part and not the whole.
  const total = of === "*" ? expectedSize : Number(of);
  const end = Math.min(range.end, total ?? Infinity);
  const fits =
    of !== undefined &&
    Number(from) === range.start &&
    Number(to) === end - 1 &&
    (expectedSize === undefined || total === expectedSize);
  if (!fits) {
    const size = expectedSize ?? "SIZE";
    const wanted = `bytes ${range.start}-${range.end - 1}/${size}`;
    const message = `expected Content-Range ${wanted}, got ${text.slice(0, 80)}`;
    // A part of the encoded bytes is of no use; the whole may be.
    if (encodingName(headers["content-encoding"]) === undefined) throw bad(message);
    throw new NetworkError("RANGE", `${what}: ${message}`);
  }
  const bytes = end - range.start;
  if (bytes > maxBytes) throw wrongSize(what, undefined, maxBytes, String(bytes));
  const declared = contentLength(headers, what);
  if (declared !== undefined && declared !== bytes) {
    throw wrongSize(what, bytes, bytes, String(declared));
  }
  return { start: range.start, bytes, total, max: bytes };
}

/** Statuses by which servers say that they give no parts, or not this one. */
const NO_PARTS: ReadonlySet<number | undefined> = new Set([400, 405, 406, 416, 501]);

/** Whether an error is the answer to a request for a part by a server that may give the whole. */
export function refusesPart(error: unknown): boolean {
  return error instanceof NetworkError && (error.code === "RANGE" || NO_PARTS.has(error.status));
}

/** We ask for the bytes as they are. */
function isEncoded(what: string, name: string): NetworkError {
  const message = `${what}: expected the bytes as they are, got Content-Encoding ${name}`;
  return new NetworkError("BAD_RESPONSE", message);
}

function contentLength(headers: Headers, what: string): number | undefined {
  const text = single(headers, "content-length", what);
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new NetworkError("BAD_RESPONSE", `${what}: Content-Length ${text.slice(0, 40)}`);
}

/**
 * The value of a header, which proxies may have written twice.
 *
 * @throws {@link NetworkError} `BAD_RESPONSE` when the header is there with several values
 */
export function single(headers: Headers, name: string, what: string): string | undefined {
  const value = headers[name];
  if (value === undefined || typeof value === "string") return value;
  if (new Set(value).size === 1) return value[0];
  throw new NetworkError("BAD_RESPONSE", `${what}: has ${value.length} headers ${name}`);
}

/** Whether a status says that the server could, and may later. */
export function isBusy(status: number): boolean {
  return status === 429 || status === 503;
}

/** What a status that is no success means. */
export function statusFailure(
  status: number,
  headers: Headers,
  what: string,
  isRange = false,
  why = "",
): NetworkError {
  const told = (code: NetworkError["code"], message: string, hint?: string) =>
    new NetworkError(code, `${what}: ${message}${why}`, { status, hint });
  switch (status) {
    case 401:
    case 403:
      return told("UNAUTHORIZED", `access refused (${status})`);
    case 407:
      return told("UNAUTHORIZED", "a proxy wants credentials (407)");
    case 404:
    case 410:
      return told("NOT_FOUND", `not there (${status})`);
    case 416:
      return isRange
        ? told("RANGE", "has no such range (416)")
        : told("BAD_RESPONSE", "refuses a range that was not asked for (416)");
    case 429:
    case 503: {
      const retryAfterMs = retryAfter(headers);
      const time = retryAfterMs === undefined ? "" : ` for ${Math.ceil(retryAfterMs / 1000)} s`;
      return new NetworkError("BUSY", `${what}: asks to be left alone${time} (${status})${why}`, {
        status,
        retryAfterMs,
      });
    }
  }
  if (status >= 200 && status < 400) {
    return told("BAD_RESPONSE", `answers with status ${status}, which does not fit the request`);
  }
  return told("STATUS", `failed (${status})`);
}

/**
 * Milliseconds to wait (`Retry-After`); undefined when the server does not say. A date counts by
 * the server's own clock, where it tells the time.
 */
export function retryAfter(headers: Headers, now = clockOf(headers)): number | undefined {
  const value = headers["retry-after"];
  if (typeof value !== "string") return undefined;
  if (/^\d{1,10}$/.test(value)) return Number(value) * 1000;
  const ms = parseDate(value) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function clockOf({ date }: Headers): number {
  const time = typeof date === "string" ? parseDate(date) : NaN;
  return Number.isNaN(time) ? Date.now() : time;
}

/** Each of the three notations of RFC 9110, 5.6.7; NaN for what is no date. */
function parseDate(text: string): number {
  // Date.parse takes nearly everything for a date, and one without a zone for a local one.
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return NaN;
  return Date.parse(text.endsWith(" GMT") ? text : `${text} GMT`);
}
