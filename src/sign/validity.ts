/**
 * The creation time, the expiry and the version of a statement, from the signer's options.
 *
 * - created: `--created`, else `SOURCE_DATE_EPOCH`, else now;
 * - expires: `--expires` as a date or as a time from creation (`365d`), else a year from creation;
 * - version: `--version`, else the seconds of creation, so that what is signed later has the higher
 *   version. `succession.ts` compares it with those that the name has had: with a fixed time of
 *   creation (a reproducible build), different images under one name need explicit versions.
 *
 * Spec: docs/statement.md, "Defaults of the signer".
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { DURATION_FORMS, parseWrittenDuration } from "../trust/duration.ts";
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

/** The three, and where the version comes from. */
export interface SettledValidity extends Validity {
  /**
   * `asked`: the signer; `created` and `epoch`: the time of creation, by `--created` or
   * `SOURCE_DATE_EPOCH`; `clock`: that time, which is now.
   */
  readonly versionFrom: "asked" | "created" | "epoch" | "clock";
}

const DEFAULT_EXPIRES = "365d";

/**
 * Settles the three, to the second.
 *
 * @throws {@link UsageError} for text in another form, or an expiry in the past unless both times
 *   were asked for
 */
export function settleValidity(request: ValidityRequest, now: Date): SettledValidity {
  const { time: created, from } = creation(request, now);
  const expires = expiry(request.expires ?? DEFAULT_EXPIRES, created);
  const isDate =
    request.expires !== undefined && parseWrittenDuration(request.expires) === undefined;
  if (expires <= now && !(isDate && from === "created")) {
    throw new UsageError("USAGE", `expires: ${formatTime(expires)} is past already`, {
      hint: isDate ? "name a later date with --expires" : COUNTED[from],
    });
  }
  if (expires <= created) {
    const [end, start] = [expires, created].map(formatTime);
    throw new UsageError("USAGE", `expires: ${end} is not after the creation, ${start}`);
  }
  if (request.version === undefined) {
    return { created, expires, version: created.getTime() / 1000, versionFrom: from };
  }
  const version = wholeNumber(request.version, "version");
  return { created, expires, version, versionFrom: "asked" };
}

const COUNTED = {
  created: "it counts from --created: name a later date with --expires",
  epoch:
    "it counts from SOURCE_DATE_EPOCH, which is the time of creation: name a later date with --expires, or the time with --created",
  clock: "it counts from now: name a longer time with --expires",
} as const;

function creation(
  request: ValidityRequest,
  now: Date,
): { time: Date; from: "created" | "epoch" | "clock" } {
  if (request.created !== undefined) {
    return { time: pointInTime(request.created, "created"), from: "created" };
  }
  if (request.sourceDateEpoch !== undefined && request.sourceDateEpoch !== "") {
    const seconds = wholeNumber(request.sourceDateEpoch, "SOURCE_DATE_EPOCH");
    return { time: fromSeconds(seconds), from: "epoch" };
  }
  return { time: fromSeconds(Math.floor(now.getTime() / 1000)), from: "clock" };
}

function expiry(text: string, created: Date): Date {
  const duration = parseWrittenDuration(text);
  if (duration === undefined) return pointInTime(text, "expires");
  return fromSeconds(created.getTime() / 1000 + duration);
}

/** A time such as `2026-09-01` or `2026-09-01T00:00:00Z`. */
export function pointInTime(text: string, what: string): Date {
  const time = parseTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (time !== undefined) return time;
  const dates = "a date such as 2027-09-01 or 2027-09-01T00:00:00Z";
  const forms =
    what === "created" ? dates : `${dates}, or a length of time such as ${DURATION_FORMS}`;
  throw new UsageError("USAGE", `${what}: expected ${forms}, got ${JSON.stringify(text)}`);
}

/** A number from 0 to 2^53 - 1. */
export function wholeNumber(text: string, what: string): number {
  const value = Number(text);
  if (/^(?:0|[1-9][0-9]{0,15})$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new UsageError("USAGE", `${what}: expected a whole number, got ${JSON.stringify(text)}`);
}

/** @throws {@link UsageError} after the year 9999 */
export function fromSeconds(seconds: number): Date {
  const time = new Date(seconds * 1000);
  // Four digits of year are all that a statement can say.
  if (time.getTime() < Date.UTC(10_000, 0)) return time;
  throw new UsageError("USAGE", `time: ${seconds} seconds is after the year 9999`);
}
