/**
 * What went wrong. The class is what the caller can do about it, the code is what happened (each
 * class lists its own), and `cause` is why. Messages start lower case, have no period, and name the
 * thing, the expected and the found.
 *
 * @module
 */

/** The root of every error that sealfs throws on purpose. */
export abstract class SealfsError<Code extends string = string> extends Error {
  readonly code: Code;
  /** What the user can do about it, when that is not obvious from the message. */
  readonly hint: string | undefined;

  constructor(code: Code, message: string, options?: ErrorOptions & { hint?: string | undefined }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.hint = options?.hint;
  }
}

/** How many messages of a chain of causes are shown. */
const MESSAGES_SHOWN = 5;

/** The message of an error and those of its causes that add to it, outermost first. */
export function messagesOf(error: Error): string[] {
  const messages = [error.message];
  let { cause } = error;
  while (cause instanceof Error && messages.length < MESSAGES_SHOWN) {
    const { message } = cause;
    if (!messages.some((shown) => shown.includes(message))) messages.push(message);
    cause = cause.cause;
  }
  return messages;
}

/** The bytes break their specification; reading them again cannot help. */
export class FormatError extends SealfsError<(typeof FormatError.codes)[number]> {
  static readonly codes = [
    "TRUNCATED",
    "BAD_MAGIC",
    "BAD_CHECKSUM",
    "OUT_OF_RANGE",
    "MALFORMED",
    "AMBIGUOUS",
    "UNSUPPORTED",
    "LIMIT",
  ] as const;
}

/** Well-formed bytes, but not the ones asked for; another source may have them. */
export class IntegrityError extends SealfsError<(typeof IntegrityError.codes)[number]> {
  static readonly codes = [
    "DIGEST_MISMATCH",
    "SIZE_MISMATCH",
    "CUT_SHORT",
    "WRONG_TYPE",
    // Problems of a store that a check found and nothing has repaired.
    "DAMAGED_STORE",
  ] as const;
}

/** The signature, the statement or the trust policy refuses the image. */
export class TrustError extends SealfsError<(typeof TrustError.codes)[number]> {
  static readonly codes = [
    "NO_BUNDLE",
    "BAD_BUNDLE",
    "BAD_ENCODING",
    "NO_KEY",
    "BAD_KEY",
    "UNTRUSTED_KEY",
    "BAD_SIGNATURE",
    "BELOW_THRESHOLD",
    "BAD_PAYLOAD_TYPE",
    "BAD_STATEMENT",
    "UNSUPPORTED_STATEMENT",
    "BAD_SUBJECT",
    "WRONG_NAME",
    "WRONG_PLATFORM",
    "NOT_YET_VALID",
    "EXPIRED",
    "BAD_VALIDITY",
    "ROLLBACK",
    "EQUIVOCATION",
    "WRONG_IMAGE",
    "NO_GOOD_BUNDLE",
    "REVOKED_KEY",
    "KEY_NOT_VALID",
    "NAME_NOT_ALLOWED",
    "TOO_OLD",
    "REVOKED_IMAGE",
    "BAD_POLICY",
    "POLICY_EXPIRED",
    "POLICY_ROLLBACK",
    "POLICY_NOT_SIGNED",
    "BAD_STATE",
    "STATE_NOT_KEPT",
    "BAD_TUF",
    "TUF_EXPIRED",
    "TUF_ROLLBACK",
    "NOT_LISTED",
    "NOT_CURRENT",
  ] as const;
}

/** Codes of answers that no honest, working server gives. */
const serverFaults: ReadonlySet<NetworkError["code"]> = new Set([
  "TLS",
  "BAD_RESPONSE",
  "WRONG_SIZE",
  "BAD_REDIRECT",
  "ADDRESS",
]);

/**
 * A server, another source of content, or the way to it failed. URLs in the message have neither
 * credentials nor queries.
 */
export class NetworkError extends SealfsError<(typeof NetworkError.codes)[number]> {
  static readonly codes = [
    // No name, no route, no answer; a folder in place of a server that cannot be read.
    "UNREACHABLE",
    // No TLS connection that can be trusted.
    "TLS",
    // The connection ended within an answer.
    "CUT_SHORT",
    "TIMEOUT",
    "TOO_SLOW",
    // The answer breaks HTTP, or does not fit the request.
    "BAD_RESPONSE",
    // The answer is shorter or longer than what was asked for.
    "WRONG_SIZE",
    "BAD_REDIRECT",
    // The server's name resolves to an address that the URL does not allow.
    "ADDRESS",
    "UNAUTHORIZED",
    "NOT_FOUND",
    // The range that was asked for lies outside the file.
    "RANGE",
    "BUSY",
    // Any other status.
    "STATUS",
  ] as const;

  /** The HTTP status, where the status was the reason. */
  readonly status: number | undefined;
  /** Milliseconds that the server asked to wait (`Retry-After`). */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: NetworkError["code"],
    message: string,
    options: ErrorOptions & {
      hint?: string | undefined;
      status?: number;
      retryAfterMs?: number | undefined;
    } = {},
  ) {
    super(code, message, options);
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** Whether the server broke the rules, so that asking it again is no use. */
  get mirrorAtFault(): boolean {
    return serverFaults.has(this.code);
  }
}

/** Why one source did not give an object. */
export interface SourceFailure {
  readonly source: string;
  readonly reason: string;
}

/** Objects could not be fetched: no source has them, or every source that was asked failed. */
export class FetchError extends SealfsError<(typeof FetchError.codes)[number]> {
  static readonly codes = ["NO_SOURCE", "ALL_FAILED", "INCOMPLETE"] as const;

  /** One entry for each source that was asked; none for `NO_SOURCE`. */
  readonly failures: readonly SourceFailure[];

  constructor(
    code: FetchError["code"],
    message: string,
    options: ErrorOptions & { hint?: string | undefined; failures?: readonly SourceFailure[] } = {},
  ) {
    super(code, message, options);
    this.failures = options.failures ?? [];
  }
}

/** Something that was named does not exist. */
export class NotFoundError extends SealfsError<(typeof NotFoundError.codes)[number]> {
  static readonly codes = ["NO_FILE", "NO_REF", "NO_OBJECT", "NO_STORE"] as const;
}

/** The command line or the arguments of a call make no sense. */
export class UsageError extends SealfsError<(typeof UsageError.codes)[number]> {
  static readonly codes = ["USAGE"] as const;
}

/** This machine cannot do it: a missing library, a missing right, a failed system call. */
export class SystemError extends SealfsError<(typeof SystemError.codes)[number]> {
  static readonly codes = [
    "NO_KOFFI",
    "NO_FUSE",
    "NO_FUSERMOUNT",
    "NO_LIBFUSE",
    "NO_USER_NAMESPACE",
    "NO_IMAGE_DEVICE",
    "NO_OVERLAY",
    "NO_VERITY",
    "NO_PASSTHROUGH",
    "NO_IDMAP",
    "NO_MODE",
    "PERMISSION",
    "READ_ONLY",
    "NO_SPACE",
    "BUSY",
    "IO",
    "INTERRUPTED",
  ] as const;

  /** The signal, where one ended the command. */
  readonly signal: EndingSignal | undefined;

  constructor(
    code: SystemError["code"],
    message: string,
    options: ErrorOptions & { hint?: string | undefined; signal?: EndingSignal } = {},
  ) {
    super(code, message, options);
    this.signal = options.signal;
  }
}

/** A signal that ends a command in order. */
export type EndingSignal = "SIGINT" | "SIGTERM" | "SIGHUP";
