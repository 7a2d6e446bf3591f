/**
 * From what the user asks for to the way to mount: tries the machine, and prepares the objects
 * where the kernel is to answer for them.
 *
 * @module
 */
import { SystemError, UsageError } from "../errors.ts";
import { objectsOf } from "../erofs/object-list.ts";
import type { TransportName } from "../fuse/transport.ts";
import { missingObjects } from "../store/missing-objects.ts";
import type { VerifiedImage } from "../verify/verified-image.ts";
import { protectObjects } from "../store/protect-objects.ts";
import type { Store } from "../store/store.ts";
import { Stores } from "../store/stores.ts";
import { type ModeOption, type Wanted, chooseMode, modeOptions, without } from "./choose.ts";
import type { MountPromise } from "./table/modes.ts"; // prettier-ignore
import type { Finding } from "./probe/finding.ts";
import { probeFuseDevice } from "./probe/fuse.ts";
import { type Findings, probeKoffi } from "./probe/probe.ts";
import { needsVerityImage } from "./probe/image-mount.ts";
import { probeKernel } from "./probe/kernel.ts";
import { probePassthrough } from "./probe/passthrough.ts";

/** What the user asks for; everything may be left to us. */
export interface PlanOptions extends Partial<Wanted> {
  /**
   * Whether what no store has is to be fetched while it is read. The kernel cannot wait for that.
   */
  readonly lazy?: boolean;
  /** Whether other users may look in. Only FUSE can keep them out. */
  readonly allowOther?: boolean;
}

/** How to mount. */
export interface MountPlan extends Pick<ModeOption, "mode" | "promise"> {
  readonly transport: TransportName | "auto";
  /** The kernel reads objects by itself once they are open. */
  readonly passthrough: boolean;
}

/**
 * Chooses the way to mount the image, and enables fs-verity on its objects when the kernel is to
 * check them.
 *
 * @throws {@link SystemError} `NO_MODE` when no way reaches what is required; {@link UsageError} for
 *   options that exclude each other
 */
export function planMount(
  verified: Pick<VerifiedImage, "image" | "digest">,
  stores: readonly Store[],
  options: PlanOptions,
): MountPlan {
  const wanted = wantedOf(options);
  const transport = wanted.transport ?? "auto";
  // FUSE alone needs no trial: if it does not work, its own errors say more.
  const isPlain = wanted.writable !== true && wanted.passthrough !== true && !wanted.idmapped;
  if (wanted.mode === "fuse" && isPlain) {
    return { mode: "fuse", promise: "block", transport, passthrough: false };
  }
  const findings = tryMachine(stores[0]?.path ?? ".", wanted);
  let ways = modeOptions(findings);
  const missing =
    options.lazy === true ? missingObjects(verified.image, new Stores(stores)).size : 0;
  if (missing > 0) {
    const objects = missing === 1 ? "1 object is" : `${missing} objects are`;
    const reason = `${objects} in no store, and the kernel cannot wait for them`;
    const lack = { code: "NO_OBJECT", reason };
    ways = ways.map((way) => (way.mode === "kernel" ? without(way, lack) : way));
  }
  for (;;) {
    const chosen = chooseMode(ways, wanted);
    const { mode, promise, passthrough = false } = chosen;
    try {
      if (mode === "kernel" && promise === "block") protectAll(verified, stores);
      else if (mode !== "fuse" && needsVerityImage(findings)) protectImage(verified, stores);
      // A way over /dev/fuse of our own was tried; which of the others works shows when it is used.
      const isOwn = passthrough || wanted.idmapped === true;
      return { mode, promise, transport: isOwn ? "dev" : transport, passthrough };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const lack = { code: error.code, reason: error.message };
      ways = ways.map((way) => (way === chosen ? without(way, lack) : way));
    }
  }
}

/** What the choice depends on; whatever takes long and is not asked for stays untried. */
function tryMachine(store: string, { passthrough }: Wanted): Findings {
  const untried: Finding = { ok: true };
  return {
    koffi: probeKoffi(),
    ...probeKernel(store),
    ...probeFuseDevice(),
    ...(passthrough === true
      ? probePassthrough(store)
      : { passthrough: untried, passthroughBelow: untried }),
    fusermount: untried,
    libfuse: untried,
    userNamespaces: untried,
    idmap: untried,
  };
}

function wantedOf(options: PlanOptions): Wanted {
  const { transport = "auto", allowOther, writable = false } = options;
  const { passthrough = false, idmapped = false } = options;
  const require: MountPromise = options.require ?? "block";
  const mode = options.mode ?? "auto";
  const wanted = { require, transport, writable, passthrough, idmapped };
  if (mode === "kernel" || mode === "hybrid") {
    if (allowOther !== false) return { ...wanted, mode };
    throw new UsageError("USAGE", `--mode=${mode}: cannot keep other users out`, {
      hint: "--mode=fuse can",
    });
  }
  // A transport implies FUSE, and so does keeping other users out.
  return { ...wanted, mode: transport === "auto" && allowOther !== false ? mode : "fuse" };
}

/** @throws {@link SystemError} when an object cannot be protected where it is */
function protectAll(
  { image, digest }: Pick<VerifiedImage, "image" | "digest">,
  stores: readonly Store[],
): void {
  const digests = [digest, ...objectsOf(image).keys()];
  for (const store of stores) protectObjects(store, digests);
}

/** Where there are no loop devices, the image is mounted as it lies in the store. */
function protectImage({ digest }: Pick<VerifiedImage, "digest">, stores: readonly Store[]): void {
  for (const store of stores) protectObjects(store, [digest]);
}
