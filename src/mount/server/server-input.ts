/**
 * What the command that mounts gives to the server process.
 *
 * @module
 */
import type { IdMap } from "../../sys/idmap.ts";
import type { MountRights } from "../../sys/mount-rights.ts";
import type { TransportName } from "../../fuse/transport.ts";
import type { SourcedImage } from "../../fetch/open-sources.ts";
import type { MirrorReach } from "../../mirror/mirrors-file.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import type { MountPromise, Mode } from "../table/modes.ts";
import type { UpperOptions } from "../upper/upper.ts";
import type { PrefetchOption } from "./prefetch-option.ts";
import type { SignedImage } from "../table/run-state.ts";

/** Descriptors that the server process inherits. */
export const IMAGE_FD = 3;
export const STATUS_FD = 4;
/** The other end is held by the command in the foreground: its end ends the mount. */
export const LIFE_FD = 5;

/** How a mount fetches what no store has. */
export interface LazyInput {
  /** What the user named, in order. */
  readonly mirrors: readonly string[];
  /** The configuration of mirrors, where it is not in its usual places. */
  readonly mirrorsFile: string | undefined;
  /** How `mirrors` are to be asked, with absolute paths. */
  readonly reach: MirrorReach | undefined;
  /** The image as it was signed: see {@link SourcedImage}. */
  readonly name: string;
  readonly digest: VerityDigest;
  readonly seekIndex: SourcedImage["seekIndex"];
  /** Milliseconds that a reader waits at most. */
  readonly deadlineMs: number;
  /** Everything is fetched, beside what readers ask for. */
  readonly background: boolean;
}

/** What the server reads from its standard input, as JSON; empty input when the server is not needed. */
export interface ServerInput extends MountRights {
  /** What the image in {@link IMAGE_FD} must have. */
  readonly digest: VerityDigest;
  readonly stores: readonly string[];
  /** Whether root writes to them though others can. */
  readonly foreignStore?: boolean | undefined;
  readonly target: string;
  /** The id of what was mounted there when it was found free; null when it need not be free. */
  readonly below?: number | null;
  readonly source: string;
  readonly mode: Mode;
  readonly promise: MountPromise;
  /** For mode `fuse`. */
  readonly transport: TransportName | "auto";
  /** For the other modes: directories for what is changed. */
  readonly writable?: UpperOptions;
  readonly lazy?: LazyInput;
  /** What was signed about the image, for status reports. */
  readonly signed: SignedImage;
  /** What is read ahead of its readers. */
  readonly prefetch?: PrefetchOption;
  /** Where metrics go: a file, or `unix:` and a socket's path. */
  readonly metrics?: string;
  readonly allowOther: boolean;
  /** The kernel reads objects by itself. */
  readonly passthrough: boolean;
  /** Owners are shown as other users. */
  readonly idmap?: IdMap;
  /** The only directory of the image that is mounted, as a path in it and as its number. */
  readonly subdir?: string;
  readonly rootNid?: number;
  readonly threads?: number;
  /** The log file; undefined: standard error in the foreground, a file of its own otherwise. */
  readonly log?: string;
  readonly foreground: boolean;
}
