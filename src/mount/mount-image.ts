/**
 * Mounting a verified image.
 *
 * @module
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Store } from "../store/store.ts";
import { formatTime } from "../trust/time.ts";
import type { VerifiedImage } from "../verify/verified-image.ts";
import type { IdMap } from "../sys/idmap.ts";
import type { TransportName } from "../fuse/transport.ts";
import { absoluteLocation, parseLocation } from "../mirror/location.ts";
import { type MirrorReach, NO_MIRRORS } from "../mirror/mirrors-file.ts";
import { endConnection } from "./table/end-mount.ts";
import { type Launched, MountServer } from "./launch.ts";
import type { LazyInput, ServerInput } from "./server/server-input.ts";
import type { MountPromise, Mode } from "./table/modes.ts";
import { metricsSocket, resolveMetrics } from "./report/metrics-output.ts";
import { SOURCE_PREFIX } from "./table/mountinfo.ts";
import { type MountPlan, planMount } from "./plan.ts";
import { directoryIn } from "./subdir.ts";
import type { PrefetchOption } from "./server/prefetch-option.ts";
import { type SignedImage, stateDirectory } from "./table/run-state.ts";
import { checkHidesNothing, checkTarget } from "./table/target.ts";
import { defined } from "../optional.ts";

/** How to mount. */
export interface MountOptions {
  /** Store directories in order; the first takes what is worth keeping. */
  readonly stores: readonly string[];
  /** How to mount; `auto` takes the strongest and fastest way that this machine has. */
  readonly mode?: Mode | "auto";
  /** The least promise about file content; `block` by default. */
  readonly require?: MountPromise;
  /** How FUSE is spoken; `auto` takes the raw way where that is possible. */
  readonly transport?: TransportName | "auto";
  /**
   * Directories of one file system for what is changed: the mount is writable. Not with FUSE alone.
   */
  readonly writable?: { readonly upper: string; readonly work: string };
  /** Fetches what no store has. Not in mode kernel, unless nothing is missing. */
  readonly lazy?: LazyOptions;
  /** No programs are run from the mount. */
  readonly noexec?: boolean;
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
  /** Read everything, or the files in a list, before anybody asks: in the background. */
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

const DEADLINE_SECONDS = 30;

/** A live mount. */
export interface Mount {
  /** The mount point, absolute. */
  readonly target: string;
  readonly mode: Mode;
  readonly promise: MountPromise;
  /** How FUSE is spoken, where it is. */
  readonly transport: TransportName | undefined;
  /** The server process. */
  readonly pid: number;
  /** The log file, where there is one. */
  readonly log: string | undefined;
  /** In the foreground: resolves when the mount has ended, with whether it ended well. */
  readonly ended: Promise<boolean>;
  /** Ends the mount, also when it is in use. */
  end(): void;
}

/**
 * Mounts `verified` on an existing directory: read-only, without set-user-id programs and devices,
 * and with the promise that {@link Mount.promise} tells, which is no weaker than the required one.
 * In the background the mount goes on when this process ends.
 *
 * @throws {@link UsageError} or {@link NotFoundError} for the directory; {@link NotFoundError}
 *   `NO_STORE`; {@link SystemError} when this machine cannot do it; nothing is mounted then
 */
export async function mountImage(
  verified: VerifiedImage,
  directory: string,
  options: MountOptions,
): Promise<Mount> {
  const target = checkTarget(directory, options);
  const server = options.server ?? new MountServer(target, options.foreground === true);
  try {
    return await mountWith(server, verified, target, options);
  } finally {
    server.abandon();
  }
}

async function mountWith(
  server: MountServer,
  verified: VerifiedImage,
  target: string,
  options: MountOptions,
): Promise<Mount> {
  const stores = options.stores.map((store) => Store.open(store));
  const foreground = options.foreground === true;
  const { threads, log, metrics, prefetch, writable, idmap, subdir } = options;
  checkHidesNothing(target, neededPaths(options));
  const rootNid = subdir === undefined ? undefined : directoryIn(verified.image, subdir);
  const plan = planMount(verified, stores, {
    ...options,
    writable: writable !== undefined,
    idmapped: idmap !== undefined,
    lazy: options.lazy !== undefined,
  });
  const input: ServerInput = defined({
    digest: verified.digest,
    stores: stores.map((store) => store.path),
    target,
    source: `${SOURCE_PREFIX}${verified.statement.name}`,
    signed: signedImage(verified),
    ...plan,
    allowOther: options.allowOther ?? process.geteuid?.() === 0,
    foreground,
    threads,
    writable: writable && { upper: resolve(writable.upper), work: resolve(writable.work) },
    noexec: options.noexec === true,
    idmap,
    rootNid,
    subdir,
    log: log === undefined ? undefined : resolve(log),
    lazy: options.lazy && lazyInput(verified, options.lazy),
    metrics: metrics === undefined ? undefined : resolveMetrics(metrics),
    prefetch,
  });
  const launched = await server.mount(verified.bytes, input);
  return asMount(target, plan, foreground, launched);
}

/** What the server looks for by its name while it serves. */
function neededPaths({ stores, log, metrics, writable, lazy }: MountOptions): string[] {
  const mirrors = (lazy?.mirrors ?? []).map((mirror) => parseLocation(mirror));
  return [
    ...stores,
    ...mirrors.flatMap((place) => ("path" in place ? [place.path] : [])),
    ...(log === undefined ? [] : [log]),
    ...(metrics === undefined ? [] : [metricsSocket(metrics) ?? metrics]),
    ...(writable === undefined ? [] : [writable.upper, writable.work]),
    stateDirectory(),
    fileURLToPath(new URL("..", import.meta.url)), // code that is loaded when it is needed
  ];
}

function lazyInput(
  { digest, statement }: VerifiedImage,
  { mirrors, mirrorsFile, reach, deadline = DEADLINE_SECONDS, background = false }: LazyOptions,
): LazyInput {
  const { name, seekIndex } = statement;
  return {
    // The server works in another directory.
    mirrors: mirrors.map(absoluteLocation),
    mirrorsFile:
      mirrorsFile === undefined || mirrorsFile === NO_MIRRORS ? mirrorsFile : resolve(mirrorsFile),
    reach: reach && {
      ...reach,
      authFile: reach.authFile && resolve(reach.authFile),
      caFile: reach.caFile && resolve(reach.caFile),
    },
    name,
    digest,
    seekIndex,
    deadlineMs: deadline * 1000,
    background,
  };
}

function signedImage({ statement, digest, keyIds }: VerifiedImage): SignedImage {
  const { name, version, created, expires } = statement;
  return {
    name,
    digest,
    version,
    created: formatTime(created),
    expires: formatTime(expires),
    signedBy: keyIds,
  };
}

function asMount(
  target: string,
  { mode, promise }: MountPlan,
  foreground: boolean,
  { child, status }: Launched,
): Mount {
  let asked = false;
  const ended = new Promise<boolean>((done) => {
    if (!foreground) return;
    child.once("exit", (code) => {
      // Killed: its guard cleans up, but a caller that waits here should find it done.
      if (code === null) endConnection(target, status.device);
      done(code === 0 || asked);
    });
  });
  return {
    target,
    mode,
    promise,
    transport: status.transport,
    pid: child.pid ?? 0,
    log: status.log,
    ended,
    end: () => {
      asked = true;
      child.kill("SIGTERM");
    },
  };
}
