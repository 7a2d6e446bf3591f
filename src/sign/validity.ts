/**
 * The creation time, the expiry and the version of a statement, from the signer's options.
 *
 * - created: `--created`, else `SOURCE_DATE_EPOCH`, else now;
 * - expires: `--expires` as a date or as a time from creation (`365d`), else a year from creation;
 * - version: `--version`, else the seconds of creation, so that what is signed later has the higher
 *   version. With a fixed time of creation (a reproducible build), different images under one name
 *   need explicit versions; and a name that had explicit versions once needs them always.
 *
 * Spec: docs/statement.md, "Defaults of the signer".
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { parseDuration } from "../trust/duration.ts";
import { formatTime, parseTime } from "../trust/time.ts";

/** What the signer asked for, as text. */
export interface ValidityRequest {
  readonly created?: string | undefined;
  readonly expires?: string | undefined;
  readonly version?: string | undefined;
  /** The environment's `SOURCE_DATE_EPOCH`. */
  readonly sourceDateEpoch?: string | undefined;
}

/** The three as a statement has them. */
export interface Validity {
  readonly created: Date;
  readonly expires: Date;
  readonly version: number;
}

const DEFAULT_EXPIRES = "365d";

/**
 * Settles the three, to the second.
 *
 * @throws {@link UsageError} for text in another form, or an expiry in the past unless that very
 *   time was asked for
 */
export function settleValidity(request: ValidityRequest, now: Date): Validity {
  const created = creation(request, now);
  const expires = expiry(request.expires ?? DEFAULT_EXPIRES, created);
  if (
    expires <= now &&
    (request.expires === undefined || parseDuration(request.expires) !== undefined)
  ) {
    throw new UsageError("USAGE", `expires: ${formatTime(expires)} is past already`, {
      hint: "it counts from the time of creation: name a later date with --expires",
    });
  }
  const version =
    request.version === undefined
      ? created.getTime() / 1000
      : wholeNumber(request.version, "version");
  return { created, expires, version };
}

function creation(request: ValidityRequest, now: Date): Date {
  if (request.created !== undefined) return pointInTime(request.created, "created");
  if (request.sourceDateEpoch !== undefined && request.sourceDateEpoch !== "") {
    return fromSeconds(wholeNumber(request.sourceDateEpoch, "SOURCE_DATE_EPOCH"));
  }
  return fromSeconds(Math.floor(now.getTime() / 1000));
}

function expiry(text: string, created: Date): Date {
  const duration = parseDuration(text);
  if (duration === undefined) return pointInTime(text, "expires");
  return fromSeconds(created.getTime() / 1000 + duration);
}

/** A time such as `2026-09-01` or `2026-09-01T00:00:00Z`. */
export function pointInTime(text: string, what: string): Date {
  const time = parseTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (time !== undefined) return time;
  const forms =
    what === "expires"
      ? "365d, 2027-09-01 or 2027-09-01T00:00:00Z"
      : "2026-09-01 or 2026-09-01T00:00:00Z";
  throw new UsageError("USAGE", `${what}: expected ${forms}, got ${JSON.stringify(text)}`);
}

/** A number from 0 to 2^53 - 1. */
export function wholeNumber(text: string, what: string): number {
  const value = Number(text);
  if (/^(?:0|[1-9][0-9]{0,15})$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new UsageError("USAGE", `${what}: expected a whole number, got ${JSON.stringify(text)}`);
}

function fromSeconds(seconds: number): Date {
  const time = new Date(seconds * 1000);
  // Four digits of year are all that a statement can say.
  if (time.getTime() < Date.UTC(10_000, 0)) return time;
  throw new UsageError("USAGE", `time: ${seconds} seconds is after the year 9999`);
}
