/**
 * What the server process is told, made of what the user asks for and what was verified and planned. The
 * server works in another directory, so that all paths are absolute.
 *
 * @module
 */
import { resolve } from "node:path";
import { absoluteLocation } from "../mirror/location.ts";
import { NO_MIRRORS } from "../mirror/mirrors-file.ts";
import { defined } from "../optional.ts";
import type { Store } from "../store/store.ts";
import { rightsOf } from "../sys/mount-rights.ts";
import { formatTime } from "../trust/time.ts";
import type { VerifiedImage } from "../verify/verified-image.ts";
import type { LazyOptions, MountOptions } from "./mount-options.ts";
import type { MountPlan } from "./plan.ts";
import { resolveMetrics } from "./report/metrics-output.ts";
import type { LazyInput, ServerInput } from "./server/server-input.ts";
import { sourceOf } from "./table/mountinfo.ts";
import type { SignedImage } from "./table/run-state.ts";

const DEADLINE_SECONDS = 30;

/** What was found out before the server is told. */
export interface Prepared {
  /** The mount point, absolute. */
  readonly target: string;
  /** The id of what was mounted there when it was found free. */
  readonly below: number | undefined;
  readonly stores: readonly Store[];
  /** The inode of `subdir`, where only that is mounted. */
  readonly rootNid: number | undefined;
  readonly plan: MountPlan;
}

export function launchInput(
  verified: VerifiedImage,
  options: MountOptions,
  { target, below, stores, rootNid, plan }: Prepared,
): ServerInput {
  const { threads, log, metrics, prefetch, writable, idmap, subdir } = options;
  return defined({
    digest: verified.digest,
    stores: stores.map((store) => store.path),
    foreignStore: options.foreignStore,
    target,
    below: options.nonempty === true ? null : below,
    source: sourceOf(verified.statement.name),
    signed: signedImage(verified),
    ...plan,
    allowOther: options.allowOther ?? process.geteuid?.() === 0,
    foreground: options.foreground === true,
    threads,
    writable: writable && {
      upper: resolve(writable.upper),
      work: resolve(writable.work),
      rebase: writable.rebase === true,
    },
    ...rightsOf(options),
    idmap,
    rootNid,
    subdir,
    log: log === undefined ? undefined : resolve(log),
    lazy: options.lazy && lazyInput(verified, options.lazy),
    metrics: metrics === undefined ? undefined : resolveMetrics(metrics),
    prefetch,
  });
}

function lazyInput(
  { digest, statement }: VerifiedImage,
  { mirrors, mirrorsFile, reach, deadline = DEADLINE_SECONDS, background = false }: LazyOptions,
): LazyInput {
  const { name, seekIndex } = statement;
  return {
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
