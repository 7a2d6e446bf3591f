/**
 * Mounting a verified image.
 *
 * @module
 */
import type { TransportName } from "../fuse/transport.ts";
import { SystemError } from "../errors.ts";
import { Store } from "../store/store.ts";
import type { VerifiedImage } from "../verify/verified-image.ts";
import { launchInput } from "./launch-input.ts";
import { type Launched, MountServer } from "./launch.ts";
import type { MountOptions } from "./mount-options.ts";
import { neededDirectories, neededPaths } from "./needed-paths.ts";
import { type MountPlan, planMount } from "./plan.ts";
import { directoryIn } from "./subdir.ts";
import { endConnection } from "./table/end-mount.ts";
import type { MountPromise, Mode } from "./table/modes.ts";
import { mountAt } from "./table/mountinfo.ts";
import { checkHidesNothing, checkTarget, mountPoint } from "./table/target.ts";

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
  const below = mountAt(mountPoint(directory))?.id; // before the look whether it is free
  const target = checkTarget(directory, options);
  const server = options.server ?? new MountServer(target, options.foreground === true);
  try {
    return await mountWith(server, verified, { target, below }, options);
  } finally {
    server.abandon();
  }
}

async function mountWith(
  server: MountServer,
  verified: VerifiedImage,
  { target, below }: { target: string; below: number | undefined },
  options: MountOptions,
): Promise<Mount> {
  const { idmap, lazy, subdir, writable } = options;
  checkRights(options);
  const stores = options.stores.map((store) =>
    Store.open(store, { foreignOwner: options.foreignStore }),
  );
  checkHidesNothing(target, neededPaths(options), neededDirectories(options));
  const rootNid = subdir === undefined ? undefined : directoryIn(verified.image, subdir);
  const plan = planMount(verified, stores, {
    ...options,
    writable: writable !== undefined,
    idmapped: idmap !== undefined,
    lazy: lazy !== undefined,
  });
  const input = launchInput(verified, options, { target, below, stores, rootNid, plan });
  const launched = await server.mount(verified.bytes, input);
  return asMount(target, plan, input.foreground, launched);
}

/** Only root can make such mounts; fusermount3 would leave these options out. */
function checkRights({ suid, dev }: MountOptions): void {
  const asked = suid === true ? "--allow-suid" : dev === true ? "--allow-dev" : undefined;
  if (asked === undefined || process.geteuid?.() === 0) return;
  throw new SystemError("PERMISSION", `${asked}: only root may mount so`, {
    hint: `without ${asked} every user can mount: set-user-ID bits and devices have no effect then`,
  });
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
