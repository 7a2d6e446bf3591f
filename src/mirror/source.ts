/**
 * Where objects may come from. None of these places is trusted: what is read is good once it has
 * the digest that the signed image gives it, or, block by block, once its leaf hashes have.
 *
 * @module
 */
import type { ByteRange } from "../store/partial-objects.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";

/** An object as the signed image knows it. */
export interface WantedObject {
  readonly digest: VerityDigest;
  /** Bytes. */
  readonly size: number;
}

export type { ByteRange } from "../store/partial-objects.ts";

export type SourceKind = "store" | "directory" | "mirror" | "layers";

/**
 * Which version of an object a source sent first. A reader of one object in several requests hands
 * the same one to each: the source then asks for more of that very version, and says so with a
 * {@link RestartError} when it has another one now.
 */
export class Validator {
  /** Whether something came already. */
  isSet = false;
  /** A strong entity tag, where the source gave one. */
  etag: string | undefined;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  readonly validator?: Validator;
}

/** What was read before does not go with what the source has now: start again at 0. */
export class RestartError extends Error {
  override readonly name = "RestartError";
}

/** Objects that one source gives together for less than one by one. */
export interface ObjectGroup {
  readonly objects: readonly WantedObject[];
  /** Bytes over the wire for all of them. */
  readonly cost: number;
  /** The objects in the order in which they come, each in chunks that are good until the next. */
  read(options: ReadOptions): AsyncIterable<GroupPart>;
}

/** A piece of one object of a group; the last one of each object is marked. */
export interface GroupPart {
  readonly object: WantedObject;
  readonly chunk: Uint8Array;
  readonly isLast: boolean;
}

/** One place that objects may come from. */
export interface ObjectSource {
  /** For messages and status: the URL or path, without credentials. */
  readonly name: string;
  readonly kind: SourceKind;
  /**
   * Bytes to be moved for an object or a part of it; undefined when this source lacks it, as far as
   * it knows.
   */
  cost(object: WantedObject, range?: ByteRange): number | undefined;
  /**
   * The bytes of `range`, unchecked, never more of them. A chunk is good until the next is asked
   * for.
   *
   * @throws typed errors ({@link NotFoundError}, {@link IntegrityError}, {@link NetworkError}, …)
   *   that say why this source cannot give it
   */
  read(object: WantedObject, range: ByteRange, options: ReadOptions): AsyncIterable<Uint8Array>;
  /** Leaf hashes of an object, unchecked; undefined when this source has none. */
  leaves?(object: WantedObject, options: ReadOptions): Promise<Uint8Array | undefined>;
  /** The objects that it has, in groups that are best asked for in one request each. */
  groups?(objects: readonly WantedObject[]): readonly ObjectGroup[];
  /** Bytes that came over the wire so far; may be more or less than the objects they gave. */
  received?(): number;
  close?(): Promise<void>;
}

/** The range that is all of an object. */
export function wholeOf({ size }: WantedObject): ByteRange {
  return { start: 0, end: size };
}
