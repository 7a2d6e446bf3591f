/**
 * What passes between a server and its thread that reads ahead.
 *
 * @module
 */
import type { SharedDirectory } from "../../fs/held-directory.ts";
import type { ByteString } from "../../bytes/bytestring.ts";
import type { EncodedError } from "../../error-transfer.ts";
import type { LeafPlace } from "../leaf-place.ts";
import type { ByteRange, ObjectFile } from "../object-reader.ts";
import type { Problem } from "../session.ts";

/** The progress of a prefetch. */
export interface PrefetchStatus {
  readonly state: "running" | "done" | "stopped";
  /** Objects to be read, and their bytes; of these, how many were read, and how many failed. */
  readonly objects: number;
  readonly bytes: number;
  readonly doneObjects: number;
  readonly doneBytes: number;
  readonly failed: number;
  /** Paths of the list that the image does not have. */
  readonly absent: number;
}

/** What is to be read. */
export interface PrefetchInput {
  readonly image: SharedArrayBuffer;
  readonly stores: readonly string[];
  /** Paths; by default everything. */
  readonly list?: readonly ByteString[] | undefined;
  /** Where readers look for leaf hashes. */
  readonly leaves?: LeafPlace | undefined;
  /** The directory of partial objects. */
  readonly partial?: SharedDirectory | undefined;
}

/** What the thread says; `need` asks for what no store has. */
export type PrefetchMessage =
  | { readonly status: PrefetchStatus }
  | { readonly problem: Problem }
  | { readonly need: { readonly file: ObjectFile; readonly range: ByteRange | undefined } };

/** The answer to `need`: the error when the content could not be fetched. */
export interface PrefetchAnswer {
  readonly failed?: EncodedError;
}
