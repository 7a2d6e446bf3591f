/**
 * What is signed: an in-toto statement about one bootstrap. It has both digests of the bootstrap,
 * its size, the name it is published under, its times of creation and expiry, and how and from what
 * it was built:
 *
 * ```json
 * {"_type":"https://in-toto.io/Statement/v1",
 *  "subject":[{"name":"registry.example/app:1.0",
 *              "digest":{"sha256":"…","fsverity-sha256-12":"…"}}],
 *  "predicateType":"https://sealfs.dev/bootstrap/v1",
 *  "predicate":{"formatVersion":1,"mode":"composefs-erofs","requires":[],"size":8192,
 *    "profile":"oci-v1",
 *    "source":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:…"},
 *    "platform":{"os":"linux","architecture":"arm64","variant":"v8"},
 *    "objects":{"count":123,"bytes":45678},
 *    "seekIndex":{"digest":"sha256:…","size":5678},
 *    "version":1788220800,"created":"2026-09-01T00:00:00Z","expires":"2027-09-01T00:00:00Z"}}
 * ```
 *
 * The verity digest stands under `fsverity-sha256-12` or `fsverity-sha512-12`: algorithm and the
 * logarithm of the block size, composefs-rs's names. `profile`, `source` and `platform` are absent when
 * the signer does not know them, `seekIndex` when there is none. `requires` names
 * extensions without which the statement must not be accepted; this version knows none. Unknown
 * fields elsewhere are ignored.
 *
 * Spec: docs/statement.md, "Statement"; in-toto attestation framework, Statement v1.
 *
 * @module
 */
import { asArray, asObject, asSize, asString, optionalString } from "../bytes/json-fields.ts";
import type { JsonObject, JsonValue } from "../bytes/json.ts";
import { FormatError, TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import {
  type Platform,
  formatPlatform,
  isUsualPlatform,
  usualNames,
} from "../platform/platform.ts";
import { type VerityDigest, algorithmOf, parseVerityDigest } from "../verity/verity-digest.ts";
import { parseDocument, refusing } from "./document.ts";
import { formatTime, parseTime } from "./time.ts";

/** DSSE's `payloadType` of every statement. */
export const STATEMENT_PAYLOAD_TYPE = "application/vnd.in-toto+json";
const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
/** Predicate of a bootstrap. */
export const PREDICATE_TYPE = "https://sealfs.dev/bootstrap/v1";
const FORMAT_VERSION = 1;
const MODE = "composefs-erofs";

/** A seek index, by its bytes. */
export interface SeekIndexFile {
  /** `sha256:…` */
  readonly digest: string;
  readonly size: number;
}

/** What is said about the bootstrap besides its identity. */
export interface Predicate {
  /** Bytes of the bootstrap. */
  readonly size: number;
  /** The rules that made one tree of the layers, such as `oci-v1`. */
  readonly profile: string | undefined;
  /** The image manifest that was built. */
  readonly source: { readonly mediaType: string; readonly digest: string } | undefined;
  /** What it runs on; undefined for what runs anywhere, or when that is not known. */
  readonly platform?: Platform | undefined;
  /** Distinct objects that the bootstrap refers to, and their bytes together. */
  readonly objects: { readonly count: number; readonly bytes: number };
  /** The file that says where the objects lie in the layers, when there is one. */
  readonly seekIndex?: SeekIndexFile | undefined;
  /** Grows with every statement about the same name. */
  readonly version: number;
  readonly created: Date;
  readonly expires: Date;
}

/** The bootstrap that a statement is about. */
export interface Subject {
  readonly name: string;
  /** Lower-case hex of the SHA-256 of the bootstrap's bytes. */
  readonly sha256: string;
  readonly verityDigest: VerityDigest;
}

/** A statement about one bootstrap. */
export type Statement = Subject & Predicate;

/** A statement as it was parsed. The verifier decides how many subjects are acceptable. */
export interface UnboundStatement {
  readonly subjects: readonly Subject[];
  readonly predicate: Predicate;
}

/**
 * Reads the bytes that were signed.
 *
 * @throws {@link TrustError} `UNSUPPORTED_STATEMENT` when they are a statement of another kind, or
 *   require what this version does not know; `BAD_STATEMENT` for everything else
 */
export function parseStatement(payload: Uint8Array): UnboundStatement {
  const object = parseDocument(payload, "statement", "BAD_STATEMENT");
  return refusing("BAD_STATEMENT", () => {
    requireValue(object, "_type", STATEMENT_TYPE);
    requireValue(object, "predicateType", PREDICATE_TYPE);
    const predicate = asObject(object.get("predicate"), "statement: predicate");
    requireValue(predicate, "formatVersion", FORMAT_VERSION);
    requireValue(predicate, "mode", MODE);
    refuseExtensions(predicate);
    return {
      subjects: asArray(object.get("subject"), "statement: subject").map(readSubject),
      predicate: readPredicate(predicate),
    };
  });
}

/**
 * The bytes to sign. Reading them back gives an equal statement.
 *
 * @throws {@link TrustError} `BAD_STATEMENT` when a verifier would refuse a field
 */
export function formatStatement(statement: Statement): Uint8Array {
  const { name, sha256, verityDigest, size, profile, source, platform } = statement;
  const { objects, seekIndex, version } = statement;
  const payload = new TextEncoder().encode(
    JSON.stringify({
      _type: STATEMENT_TYPE,
      subject: [{ name, digest: { sha256, [verityName(verityDigest)]: verityDigest } }],
      predicateType: PREDICATE_TYPE,
      predicate: {
        formatVersion: FORMAT_VERSION,
        mode: MODE,
        requires: [],
        size,
        profile,
        source: source && { mediaType: source.mediaType, digest: source.digest },
        platform: platform && fieldsOf(platform),
        objects: { count: objects.count, bytes: objects.bytes },
        seekIndex: seekIndex && { digest: seekIndex.digest, size: seekIndex.size },
        version,
        created: formatTime(statement.created),
        expires: formatTime(statement.expires),
      },
    }),
  );
  parseStatement(payload);
  return payload;
}

function fieldsOf({ os, architecture, variant }: Platform) {
  return { os, architecture, variant };
}

function requireValue(object: JsonObject, name: string, wanted: string | number): void {
  const value = object.get(name);
  if (value === wanted) return;
  const got = value instanceof Map ? "an object" : (JSON.stringify(value) ?? "nothing");
  throw new TrustError(
    "UNSUPPORTED_STATEMENT",
    `statement: expected ${name} ${JSON.stringify(wanted)}, got ${got.slice(0, 100)}`,
  );
}

function refuseExtensions(predicate: JsonObject): void {
  const requires = asArray(predicate.get("requires"), "statement: requires");
  if (requires.length === 0) return;
  const names = requires.map((entry) => asString(entry, "statement: requires")).join(", ");
  throw new TrustError(
    "UNSUPPORTED_STATEMENT",
    `statement: requires what this version does not know: ${JSON.stringify(names.slice(0, 200))}`,
    { hint: "a newer sealfs may know it" },
  );
}

function readSubject(value: JsonValue): Subject {
  const object = asObject(value, "statement: subject");
  const digests = asObject(object.get("digest"), "statement: digest");
  const verity = [...digests.keys()].filter((name) => /^fsverity-sha(?:256|512)-12$/.test(name));
  if (verity.length !== 1) {
    throw malformed(`digest: expected one fs-verity digest, got ${verity.length}`);
  }
  const verityDigest = parseVerityDigest(asString(digests.get(verity[0]!), "statement: digest"));
  if (verityName(verityDigest) !== verity[0]) {
    throw malformed(`${verity[0]}: wrong length of ${verityDigest.length} digits`);
  }
  const sha256 = asString(digests.get("sha256"), "statement: sha256");
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw malformed(`sha256: expected 64 lower-case hex digits, got ${shown(sha256)}`);
  }
  return { name: readName(object), sha256, verityDigest };
}

/** composefs-rs's name of a digest: algorithm and block size of 2^12. */
function verityName(digest: VerityDigest): string {
  return `fsverity-${algorithmOf(digest)}-12`;
}

// Printable ASCII, as in image references: names that look alike are then equal.
function readName(subject: JsonObject): string {
  const name = asString(subject.get("name"), "statement: name");
  if (name.length > limits.referenceBytes) {
    const most = `expected at most ${limits.referenceBytes} bytes`;
    throw malformed(`name: ${most}, got ${name.length}: ${shown(name)}`);
  }
  if (!/^[\x21-\x7e]+$/.test(name)) {
    throw malformed(`name: expected printable ASCII without spaces, got ${shown(name)}`);
  }
  return name;
}

function readPredicate(predicate: JsonObject): Predicate {
  const objects = asObject(predicate.get("objects"), "statement: objects");
  return {
    size: asSize(predicate.get("size"), "statement: size"),
    profile: readProfile(predicate),
    source: readSource(predicate.get("source")),
    platform: readPlatform(predicate.get("platform")),
    objects: {
      count: asSize(objects.get("count"), "statement: objects: count"),
      bytes: asSize(objects.get("bytes"), "statement: objects: bytes"),
    },
    seekIndex: readSeekIndex(predicate.get("seekIndex")),
    version: asSize(predicate.get("version"), "statement: version"),
    created: readTime(predicate, "created"),
    expires: readTime(predicate, "expires"),
  };
}

/**
 * Undefined when the signer does not state it. It is shown to people, so only printable ASCII is
 * accepted.
 */
function readProfile(predicate: JsonObject): string | undefined {
  const profile = optionalString(predicate, "profile", "statement");
  if (profile === undefined || PLAIN.test(profile)) return profile;
  throw malformed(`profile: expected printable ASCII without spaces, got ${shown(profile)}`);
}

/** What people read: at most 255 bytes of printable ASCII without spaces. */
const PLAIN = /^[\x21-\x7e]{1,255}$/;

function readSource(value: JsonValue | undefined): Predicate["source"] {
  if (value === undefined) return undefined;
  const object = asObject(value, "statement: source");
  const mediaType = asString(object.get("mediaType"), "statement: source: mediaType");
  const digest = asString(object.get("digest"), "statement: source: digest");
  if (!/^sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$/.test(digest)) {
    throw malformed(`source: expected a digest sha256:… or sha512:…, got ${shown(digest)}`);
  }
  if (PLAIN.test(mediaType)) return { mediaType, digest };
  throw malformed(`source: expected a media type, got ${shown(mediaType)}`);
}

/** One platform has one spelling: clients compare and remember it. */
function readPlatform(value: JsonValue | undefined): Platform | undefined {
  if (value === undefined) return undefined;
  const what = "statement: platform";
  const object = asObject(value, what);
  const os = asString(object.get("os"), `${what}: os`);
  const architecture = asString(object.get("architecture"), `${what}: architecture`);
  const variant = optionalString(object, "variant", what);
  const platform = { os, architecture, variant };
  if (isUsualPlatform(platform)) return platform;
  const [got, usual] = [formatPlatform(platform), formatPlatform(usualNames(platform))];
  const expected = usual === got ? "lower-case words" : shown(usual);
  throw malformed(`platform: expected ${expected}, got ${shown(got)}`);
}

function readSeekIndex(value: JsonValue | undefined): SeekIndexFile | undefined {
  if (value === undefined) return undefined;
  const object = asObject(value, "statement: seekIndex");
  const digest = asString(object.get("digest"), "statement: seekIndex: digest");
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
    throw malformed(`seekIndex: expected a digest sha256:…, got ${shown(digest)}`);
  }
  return { digest, size: asSize(object.get("size"), "statement: seekIndex: size") };
}

function readTime(predicate: JsonObject, name: string): Date {
  const text = asString(predicate.get(name), `statement: ${name}`);
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw malformed(`${name}: expected a time such as 2026-09-01T00:00:00Z, got ${shown(text)}`);
}

function malformed(message: string): FormatError {
  return new FormatError("MALFORMED", `statement: ${message}`);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
