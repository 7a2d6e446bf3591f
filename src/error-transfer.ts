/**
 * Carries errors between threads and processes: encodes them as plain values that survive JSON and
 * structured cloning, and decodes them with their class, code and hint. Received values are
 * checked, because the sender may have been compromised.
 *
 * @module
 */
import {
  FetchError,
  FormatError,
  IntegrityError,
  NetworkError,
  NotFoundError,
  type SealfsError,
  type SourceFailure,
  SystemError,
  TrustError,
  UsageError,
  messagesOf,
} from "./errors.ts";
import { defined } from "./optional.ts";

interface Details {
  readonly hint?: string;
  readonly status?: number;
  readonly retryAfterMs?: number;
  readonly failures?: readonly SourceFailure[];
}

interface ErrorClass {
  readonly codes: readonly string[];
  new (code: never, message: string, options: ErrorOptions & Details): SealfsError;
}

/**
 * Every class that keeps its identity on the way. An error of a derived class arrives as the class
 * listed here.
 */
export const errorClasses = {
  FormatError,
  IntegrityError,
  TrustError,
  NetworkError,
  FetchError,
  NotFoundError,
  UsageError,
  SystemError,
} as const satisfies Readonly<Record<string, ErrorClass>>;

type ClassName = keyof typeof errorClasses;
const classNames = Object.keys(errorClasses) as ClassName[];

interface Common {
  readonly message: string;
  /** The messages of its causes, as far as they are shown. */
  readonly causes: readonly string[];
}

/** An error that was thrown on purpose. */
interface KnownError extends Common, Details {
  readonly class: ClassName;
  readonly code: string;
}

/** Any other error: of the system, or a defect. */
interface OtherError extends Common {
  readonly name: string;
  /** An error number's name, where it has one. */
  readonly code?: string;
  readonly stack?: string;
}

/** An error as a plain value. */
export type EncodedError = KnownError | OtherError;

/**
 * Characters of each text: as JSON an error has less than 64 KiB, so that channels can be bounded.
 */
const textLimits = { message: 4096, hint: 1024, stack: 2048, cause: 1024 } as const;

/** Encodes anything that was thrown as a plain value. */
export function encodeError(thrown: unknown): EncodedError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const [message = "", ...causes] = messagesOf(error);
  const common: Common = {
    message: message.slice(0, textLimits.message),
    causes: causes.map((cause) => cause.slice(0, textLimits.cause)),
  };
  const name = classNames.find((each) => error instanceof errorClasses[each]);
  if (name !== undefined) {
    const { code, hint, status, retryAfterMs, failures } = error as SealfsError & Details;
    const details = { hint: hint?.slice(0, textLimits.hint), status, retryAfterMs, failures };
    return defined({ ...common, class: name, code, ...details });
  }
  const { code } = error as { code?: unknown };
  return defined({
    ...common,
    name: error.name,
    code: isText(code) ? code : undefined, // some have a number
    stack: error.stack?.slice(0, textLimits.stack),
  });
}

/**
 * Decodes a value of {@link encodeError}. Anything else becomes a {@link SystemError} `IO` whose
 * message names the sender, `from`.
 */
export function decodeError(value: unknown, from: string): Error {
  if (isKnown(value)) {
    const { class: name, code, message, causes, hint, status, retryAfterMs, failures } = value;
    const Class: ErrorClass = errorClasses[name];
    const details = defined({ hint, status, retryAfterMs, failures });
    return new Class(code as never, message, { ...details, ...causeOf(causes) });
  }
  if (isOther(value)) {
    const { name, code, message, causes, stack } = value;
    return Object.assign(new Error(message, causeOf(causes)), defined({ name, code, stack }));
  }
  return new SystemError("IO", `${from}: sent an error that cannot be read`);
}

/** A chain of errors with these messages. */
function causeOf(messages: readonly string[]): ErrorOptions {
  const [message, ...rest] = messages;
  return message === undefined ? {} : { cause: new Error(message, causeOf(rest)) };
}

type Fields = Readonly<Record<string, unknown>>;

function isKnown(value: unknown): value is KnownError {
  if (!isCommon(value) || !isText(value["class"])) return false;
  const { class: name, code, hint, status, retryAfterMs, failures } = value;
  return (
    classNames.includes(name as ClassName) &&
    isText(code) &&
    (errorClasses[name as ClassName].codes as readonly string[]).includes(code) &&
    (hint === undefined || isText(hint)) &&
    (status === undefined || isNumber(status)) &&
    (retryAfterMs === undefined || isNumber(retryAfterMs)) &&
    (failures === undefined || (Array.isArray(failures) && failures.every(isFailure)))
  );
}

function isOther(value: unknown): value is OtherError {
  if (!isCommon(value) || "class" in value) return false;
  const { name, code, stack } = value;
  return (
    isText(name) && (code === undefined || isText(code)) && (stack === undefined || isText(stack))
  );
}

function isCommon(value: unknown): value is Fields & Common {
  if (!isFields(value)) return false;
  const { message, causes } = value;
  return isText(message) && Array.isArray(causes) && causes.every(isText);
}

function isFailure(value: unknown): value is SourceFailure {
  return isFields(value) && isText(value["source"]) && isText(value["reason"]);
}

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null;
const isText = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): value is number => Number.isFinite(value);
