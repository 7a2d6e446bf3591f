/**
 * What fsck finds, and what it did about it.
 *
 * Spec: docs/store.md, "Check and repair".
 *
 * @module
 */
import type { VerityDigest } from "../../verity/verity-digest.ts";

/** What is wrong. */
export type ProblemKind =
  | "object" // content, size or type is not what the name says
  | "missing" // an object that an image refers to, or an image that a name leads to
  | "mode" // others than the owner may write to an object
  | "name" // something in objects/ whose name is no digest
  | "image" // an image that is whole, but breaks the format
  | "link" // images/<id> that does not lead to its object
  | "ref" // a name that leads to no image
  | "bundle"
  | "leaves" // a cache that does not fit its object
  | "seek"
  | "layer" // what is remembered of a layer
  | "directory"; // a directory that a store must have

/** `quarantined` is a repair only when nothing needs the wrong file. */
export type Repair = "restored" | "quarantined" | "removed" | "fixed";

/** One thing that is wrong, as it is reported. */
export interface StoreProblem extends Omit<FoundProblem, "name"> {
  readonly path: string;
}

/** One thing that is wrong. */
export interface FoundProblem {
  readonly kind: ProblemKind;
  /** In the store. */
  readonly name: string;
  readonly message: string;
  /** The object or image that it is about. */
  readonly digest?: VerityDigest;
  /** What was done about it; undefined when nothing was, or nothing could be. */
  repair?: Repair;
  /** Whether an image or a name still lacks something because of it. */
  bad: boolean;
}
