/**
 * What the user asks for when an image is mounted.
 *
 * @module
 */
import type { TransportName } from "../fuse/transport.ts";
import type { MirrorReach } from "../mirror/mirrors-file.ts";
import type { IdMap } from "../sys/idmap.ts";
import type { MountRights } from "../sys/mount-rights.ts";
import type { MountServer } from "./launch.ts";
import type { PrefetchOption } from "./server/prefetch-option.ts";
import type { MountPromise, Mode } from "./table/modes.ts";

/** How to mount. */
export interface MountOptions extends MountRights {
  /** Store directories in order; the first takes what is worth keeping. */
  readonly stores: readonly string[];
  /** As `foreignOwner` of {@link Store.open}. */
  readonly foreignStore?: boolean | undefined;
  /** How to mount; `auto` takes the strongest and fastest way that this machine has. */
  readonly mode?: Mode | "auto";
  /** The least promise about file content; `block` by default. */
  readonly require?: MountPromise;
  /** How FUSE is spoken; `auto` takes the raw way where that is possible. */
  readonly transport?: TransportName | "auto";
  /**
   * Directories of one file system for what is changed: the mount is writable. Not with FUSE alone.
   * `upper` belongs to the image that it was used with first; with `rebase` its changes are taken over
   * from that image to this one.
   */
  readonly writable?: {
    readonly upper: string;
    readonly work: string;
    readonly rebase?: boolean;
  };
  /** Fetches what no store has. Not in mode kernel, unless nothing is missing. */
  readonly lazy?: LazyOptions;
  /** The kernel reads objects by itself; they are checked as a whole when they are opened. */
  readonly passthrough?: boolean;
  /** Owners are shown as other users. */
  readonly idmap?: IdMap | undefined;
  /** Only this directory of the image is mounted; no symlink on the way is followed. */
  readonly subdir?: string;
  /** The mount ends with this process. */
  readonly foreground?: boolean;
  /** Other users may look in, as modes and ACLs let them. As root that is the default. */
  readonly allowOther?: boolean;
  /** Mount over a directory that is not empty. */
  readonly nonempty?: boolean;
  /** File for the log; otherwise standard error in the foreground, one named in the result else. */
  readonly log?: string;
  /**
   * Where metrics for Prometheus go: a file, replaced every ten seconds and at the end, or `unix:`
   * and the path of a socket that answers `GET /metrics`.
   */
  readonly metrics?: string;
  /** Read everything, or the files in a list, in the background, before it is asked for. */
  readonly prefetch?: PrefetchOption;
  /** Threads of the raw transport; by default as many as processors, from 2 to 4. */
  readonly threads?: number;
  /** A server process that was started before, with the same target and `foreground`. */
  readonly server?: MountServer;
}

/** How to fetch what no store has. */
export interface LazyOptions {
  /**
   * Where from: places as `sealfs fetch` takes them, in order; behind them those of the
   * configuration.
   */
  readonly mirrors: readonly string[];
  /** The configuration of mirrors, where it is not in its usual places. */
  readonly mirrorsFile?: string | undefined;
  /** How `mirrors` are to be asked, where that is not as usual. */
  readonly reach?: MirrorReach | undefined;
  /** Seconds that a reader waits at most; 30 by default. */
  readonly deadline?: number | undefined;
  /** Everything is fetched, beside what readers ask for. */
  readonly background?: boolean | undefined;
}
