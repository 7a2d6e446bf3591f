/**
 * What every FUSE transport is given, and gives back.
 *
 * @module
 */
import type { IdMap } from "../sys/idmap.ts";
import type { LeafPlace } from "./leaf-place.ts";
import type { Problem } from "./session.ts";
import type { Supply } from "./supply.ts";
import type { MountRights } from "../sys/mount-rights.ts";
import type { SpareThread } from "./threads.ts";

/**
 * The ways to speak FUSE: with a /dev/fuse that we opened and mounted ourselves, with one that
 * fusermount3 did for us, or through libfuse by the package fuse-native.
 */
export const transportNames = ["dev", "fusermount", "libfuse"] as const;
export type TransportName = (typeof transportNames)[number];

/** A mount to be served. */
export interface ServeInput extends MountRights {
  /** The verified image; nobody else writes to this memory. */
  readonly image: SharedArrayBuffer;
  /** Store directories in order, absolute. */
  readonly stores: readonly string[];
  /** An existing directory, absolute. */
  readonly target: string;
  /** What the list of mounts shows as the device. */
  readonly source: string;
  /** Other users may use the mount; modes and ACLs decide what they see. */
  readonly allowOther: boolean;
  /** Threads of the raw transport. */
  readonly threads?: number;
  /** One of them, started before. */
  readonly spare?: SpareThread;
  /** The kernel reads objects by itself after they were checked when they were opened. */
  readonly passthrough?: boolean;
  /** Owners are shown as other users. */
  readonly idmap?: IdMap;
  /** The directory of the image that the mount shows, by its number; by default all of the image. */
  readonly rootNid?: number;
  /** Gets what no store has; without it that is an error. */
  readonly supply?: Supply | undefined;
  /** Is called for every request that failed. */
  readonly onProblem: (problem: Problem) => void;
}

/** A mount that is live. */
export interface Served {
  /** How FUSE is spoken; undefined when the kernel serves everything. */
  readonly transport: TransportName | undefined;
  /** Resolves when the file system has been unmounted or its connection ended. */
  readonly ended: Promise<void>;
  /** What is counted, for `readCounters`; undefined when the kernel serves everything. */
  readonly counters?: SharedArrayBuffer;
  /** Where its threads look for leaf hashes. */
  readonly leaves?: LeafPlace;
}
