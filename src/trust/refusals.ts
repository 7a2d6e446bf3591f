/**
 * Why no bundle about an image is good, as one error. An image may go under many names, and has
 * bundles for each: what refuses those of other names is no reason, unless there are no others.
 *
 * @module
 */
import { TrustError } from "../errors.ts";
import { STATEMENT_PAYLOAD_TYPE, parseStatement } from "./statement.ts";

/** Bundles that were refused for one reason. */
export interface Refusal {
  /** `bundle 2`, or `bundles 2, 3` that are over the same bytes. */
  readonly label: string;
  readonly error: TrustError;
  /**
   * The name that they claim to be about, which is not verified; undefined when it cannot be read.
   */
  readonly about?: string | undefined;
}

/** What was asked for, for the message. */
export interface Asked {
  /** The beginning of the message. */
  readonly what: string;
  /** Where the bundles lie, such as ` in the registry`. */
  readonly where?: string;
  /** The name asked for; undefined for any. */
  readonly name: string | undefined;
}

/** The name that a payload claims to be about, for messages alone. */
export function claimedName(payloadType: string, payload: Uint8Array): string | undefined {
  if (payloadType !== STATEMENT_PAYLOAD_TYPE) return undefined;
  try {
    return parseStatement(payload).subjects[0]?.name;
  } catch {
    return undefined;
  }
}

/**
 * The refusals in the order in which they matter to a reader who has asked for `name`: those of
 * bundles about it, by trusted keys before strangers, those that cannot be read, those of other
 * names.
 */
export function inOrder(refusals: readonly Refusal[], name: string | undefined): Refusal[] {
  const rank = ({ about, error }: Refusal) => {
    if (name !== undefined && about !== undefined && about !== name) return 3;
    if (about === undefined) return 2;
    return error.code === "UNTRUSTED_KEY" ? 1 : 0;
  };
  return [...refusals].sort((a, b) => rank(a) - rank(b));
}

/** Reasons, and names, that a message gives; all reasons are in the error's cause. */
const SHOWN = 8;

/**
 * The error for bundles of which none is good; `problems` are those of further bundles that could
 * not be read. A single reason is the error itself, several alike keep its code, and others are
 * `NO_GOOD_BUNDLE`.
 */
export function allRefused(
  refusals: readonly Refusal[],
  problems: readonly Error[],
  { what, where = "", name }: Asked,
): TrustError {
  const ordered = inOrder(refusals, name);
  const isOther = ({ about }: Refusal) =>
    name !== undefined && about !== undefined && about !== name;
  const isAbout = ordered.some(({ about }) => about === name);
  const counted = isAbout ? ordered.filter((refusal) => !isOther(refusal)) : ordered;
  const [first, ...others] = counted;
  if (first !== undefined && others.length === 0 && problems.length === 0) return first.error;
  const misnamed = counted.filter(({ error }) => error.code === "WRONG_NAME");
  const reasons = [
    ...new Set([
      ...counted.filter(({ error }) => error.code !== "WRONG_NAME").map(reasonOf),
      ...problems.map(({ message }) => `not readable: ${message}`),
      ...(misnamed.length > 1 ? [otherNames(misnamed, name)] : misnamed.map(reasonOf)),
    ]),
  ];
  const isSame = others.every(({ error }) => error.code === first?.error.code);
  const count = counted.length + problems.length;
  const number = count === 1 ? "the only bundle" : `none of ${count} bundles`;
  const verdict = count === 1 ? "is not good" : "is good";
  return new TrustError(
    first !== undefined && isSame ? first.error.code : "NO_GOOD_BUNDLE",
    `${what}: ${number}${where} ${verdict}: ${someOf(reasons, "; ")}`,
    {
      cause: new AggregateError([...counted.map(({ error }) => error), ...problems]),
      hint: isAbout || isSame ? first?.error.hint : undefined,
    },
  );
}

function reasonOf({ label, error: { message } }: Refusal): string {
  return message.startsWith(label) ? message : `${label}: ${message}`;
}

function otherNames(misnamed: readonly Refusal[], name: string | undefined): string {
  const names = new Set(misnamed.map(({ about }) => JSON.stringify(about ?? "")));
  return `expected the name ${JSON.stringify(name)}, signed as ${someOf([...names].sort(), ", ")}`;
}

function someOf(texts: readonly string[], separator: string): string {
  const more = texts.length - SHOWN;
  const shown = texts.slice(0, SHOWN);
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(separator);
}
