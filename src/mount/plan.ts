/**
 * From what the user asks for to the way to mount: tries the machine, and prepares the objects where
 * the kernel is to answer for them.
 *
 * @module
 */
import { SystemError, UsageError } from "../errors.ts";
import { objectsOf } from "../erofs/object-list.ts";
import type { Image } from "../erofs/image.ts";
import type { TransportName } from "../fuse/transport.ts";
import { missingObjects } from "../image/missing-objects.ts";
import { protectObjects } from "../store/fsverity.ts";
import type { Store } from "../store/store.ts";
import { Stores } from "../store/stores.ts";
import { type Assurance, type ModeOption, type Wanted, chooseMode, modeOptions, without } from "./choose.ts"; // prettier-ignore
import type { Finding } from "./finding.ts";
import { probeFuseDevice } from "./probe-fuse.ts";
import { probeKernel } from "./probe-kernel.ts";

/** What the user asks for; everything may be left to us. */
export interface PlanOptions extends Partial<Wanted> {
  /** Whether what no store has is to be fetched while it is read. The kernel cannot wait for that. */
  readonly lazy?: boolean;
  /** Whether other users may look in. Only FUSE can keep them out. */
  readonly allowOther?: boolean;
}

/** How to mount. */
export interface MountPlan extends Pick<ModeOption, "mode" | "promise"> {
  readonly transport: TransportName | "auto";
}

/**
 * Chooses the way to mount `image`, and turns fs-verity on for its objects when the kernel shall
 * check them.
 *
 * @throws {@link SystemError} `NO_MODE` when no way reaches what is required; {@link UsageError} for
 *   wishes that exclude each other
 */
export function planMount(image: Image, stores: readonly Store[], options: PlanOptions): MountPlan {
  const wanted = wantedOf(options);
  const transport = wanted.transport ?? "auto";
  // FUSE alone needs no trial: if it does not work, its own errors say more.
  if (wanted.mode === "fuse" && wanted.writable !== true) {
    return { mode: "fuse", promise: "block", transport };
  }
  const untried: Finding = { ok: true };
  let ways = modeOptions({
    ...probeKernel(stores[0]?.path ?? "."),
    ...probeFuseDevice(),
    fusermount: untried,
    libfuse: untried,
    userNamespaces: untried,
  });
  const missing = options.lazy === true ? missingObjects(image, new Stores(stores)).size : 0;
  if (missing > 0) {
    const reason = `${missing} objects are in no store, and the kernel cannot wait for them`;
    ways = ways.map((way) => (way.mode === "kernel" ? without(way, reason) : way));
  }
  for (;;) {
    const chosen = chooseMode(ways, wanted);
    const { mode, promise } = chosen;
    try {
      if (mode === "kernel" && promise === "block") protectAll(image, stores);
      return { mode, promise, transport };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      ways = ways.map((way) => (way === chosen ? without(way, error.message) : way));
    }
  }
}

function wantedOf(options: PlanOptions): Wanted {
  const { transport = "auto", allowOther, writable = false } = options;
  const require: Assurance = options.require ?? "block";
  const mode = options.mode ?? "auto";
  const wanted = { require, transport, writable };
  if (mode === "kernel" || mode === "hybrid") {
    if (allowOther !== false) return { ...wanted, mode };
    throw new UsageError("USAGE", `--mode=${mode}: cannot keep other users out`, {
      hint: "--mode=fuse can",
    });
  }
  // Who names a transport means FUSE, and so does who keeps others out.
  return { ...wanted, mode: transport === "auto" && allowOther !== false ? mode : "fuse" };
}

/** @throws {@link SystemError} when an object cannot be protected where it is */
function protectAll(image: Image, stores: readonly Store[]): void {
  const digests = [...objectsOf(image).keys()];
  for (const { objects } of stores) protectObjects(objects, digests);
}
