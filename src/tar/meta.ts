/**
 * Extended headers in front of an entry: pax `x` and `g`, GNU long names `L` and `K`. Collects them
 * until the entry's own header comes.
 *
 * Spec: docs/profiles.md, "Extended headers"; POSIX.1-2017 pax, "pax Extended Header"; GNU tar
 * manual, "Basic Tar Format".
 *
 * @module
 */
import { type ByteString, printable, toByteString } from "../bytes/bytestring.ts";
import { FormatError } from "../errors.ts";
import { limits } from "../limits.ts";
import { type PaxRecords, checkGlobalPax, parsePax } from "./pax.ts";

const kinds: ReadonlyMap<number, string> = new Map([
  [0x78, "pax header"],
  [0x67, "global pax header"],
  [0x4c, "GNU long name"],
  [0x4b, "GNU long link name"],
]);

/** The extended headers that wait for their entry. */
export class MetaHeaders {
  pax: PaxRecords | undefined = undefined;
  longName: ByteString | undefined = undefined;
  longLink: ByteString | undefined = undefined;
  /** Whether a pax header has come, for this entry or an earlier one. */
  archiveHasPax = false;
  #count = 0;
  #kind: string | undefined; // of the one being read
  /** With the padding behind it. */
  #body = new Uint8Array(0);
  #size = 0;
  #have = 0;

  static isMeta(typeFlag: number): boolean {
    return kinds.has(typeFlag);
  }

  get pending(): boolean {
    return this.#count > 0;
  }

  /**
   * Begins an extended header whose body has `size` bytes, with so much `padding` behind it.
   *
   * @throws {@link FormatError} `LIMIT`, `AMBIGUOUS`
   */
  open(typeFlag: number, size: number, padding: number): void {
    const kind = kinds.get(typeFlag)!;
    if (++this.#count > limits.metaHeaders) {
      throw new FormatError(
        "LIMIT",
        `${kind}: expected at most ${limits.metaHeaders} extended headers for one entry, got more`,
      );
    }
    if (size > limits.paxBytes) {
      throw new FormatError(
        "LIMIT",
        `${kind}: expected at most ${limits.paxBytes} bytes, got ${size}`,
      );
    }
    // Tools disagree which of two pax headers counts, and whether a size in the first is the second's.
    const isPax = typeFlag === 0x78 || typeFlag === 0x67;
    if (this.pax !== undefined && (isPax || this.pax.size !== undefined)) {
      throw new FormatError("AMBIGUOUS", `${kind}: expected an entry after a pax header`);
    }
    this.archiveHasPax ||= isPax;
    this.#kind = kind;
    this.#body = new Uint8Array(size + padding);
    this.#size = size;
    this.#have = 0;
  }

  /** Takes bytes of the body and its padding. */
  add(bytes: Uint8Array): void {
    this.#body.set(bytes, this.#have);
    this.#have += bytes.length;
  }

  /** @throws {@link FormatError} when the complete body is malformed for its kind */
  close(): void {
    const kind = this.#kind!;
    const body = this.#body.subarray(0, this.#size);
    const isPax = kind === "pax header" || kind === "global pax header";
    // GNU tar and Python read a name up to a NUL, Python also records, and others up to the size.
    const next = this.#body[this.#size] ?? 0;
    if (next !== 0 && (isPax || !body.includes(0))) {
      throw new FormatError(
        "AMBIGUOUS",
        `${kind}: expected a NUL behind its ${this.#size} bytes, got byte ${next}`,
      );
    }
    this.#body = new Uint8Array(0);
    if (kind === "pax header") this.pax = parsePax(body);
    else if (kind === "global pax header") checkGlobalPax(body);
    else if (kind === "GNU long name") {
      this.longName = onlyName(this.longName, parseLongName(body, kind), kind);
    } else this.longLink = onlyName(this.longLink, parseLongName(body, kind), kind);
  }

  /** Forgets the extended headers of the entry that has been read. */
  clear(): void {
    this.pax = undefined;
    this.longName = undefined;
    this.longLink = undefined;
    this.#count = 0;
  }
}

/** A name of any length, ended by NUL or by the header. */
function parseLongName(body: Uint8Array, kind: string): ByteString {
  const nul = body.indexOf(0);
  const end = nul < 0 ? body.length : nul;
  if (end === 0) throw new FormatError("MALFORMED", `${kind}: expected a name, got none`);
  return toByteString(body, 0, end);
}

/** Tools disagree which of two names counts. */
function onlyName(before: ByteString | undefined, name: ByteString, kind: string): ByteString {
  if (before !== undefined && before !== name) {
    throw new FormatError(
      "AMBIGUOUS",
      `${kind}: expected one for an entry, got "${printable(before)}" and "${printable(name)}"`,
    );
  }
  return name;
}
