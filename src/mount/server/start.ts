/**
 * The start of a mount in its server process: what it needs, the mount itself, and its announcement.
 *
 * @module
 */
import { realpathSync } from "node:fs";
import { Prefetch } from "../../fuse/prefetch/prefetch.ts";
import { Stores } from "../../store/stores.ts";
import type { PrefetchInput } from "../../fuse/prefetch/prefetch-input.ts";
import type { SpareThread } from "../../fuse/threads.ts";
import type { Served, ServeInput } from "../../fuse/transport.ts";
import { defined } from "../../optional.ts";
import { startGuard } from "../guard/guard.ts";
import { metricsSocket } from "../report/metrics-output.ts";
import { takeTurn } from "../table/target-lock.ts";
import type { MountState } from "../table/run-state.ts";
import type { Upper } from "../upper/upper.ts";
import { announce } from "./announcement.ts";
import { leaseImage } from "./image-lease.ts";
import { ImageSource } from "./image-source.ts";
import type { LazyMount } from "./lazy.ts";
import { LiveMount } from "./live-mount.ts";
import { readPrefetchList } from "./prefetch-option.ts";
import { ProblemLog } from "./problem-log.ts";
import { serveMode } from "./serve-mode.ts";
import { IMAGE_FD, type ServerInput } from "./server-input.ts";
import type { ServerLog } from "./server-log.ts";
import { tellLive } from "./server-status.ts";
import type { Signals } from "./signals.ts";
import type { Undo } from "./undo.ts";

/** What a server process has from its first moment on. */
export interface ServerParts {
  readonly signals: Signals;
  readonly log: ServerLog;
  /** A thread that has loaded its code. */
  readonly spare: SpareThread;
  /** Gives back what the mount holds, and ends it should it be there; also before a kill. */
  readonly undo: Undo;
  /** What is left alone by a kill: it has to work then. */
  readonly atExit: Undo;
}

/**
 * Mounts, starts everything around the mount, and tells the command. Whatever happens, `undo` and
 * `atExit` know what is to be undone.
 *
 * @throws {@link SystemError} or others why it cannot be mounted, or `INTERRUPTED`
 */
export async function startMount(input: ServerInput, parts: ServerParts): Promise<LiveMount> {
  const { signals, log, spare, undo, atExit } = parts;
  const write = (line: string) => log.write(line);
  const images = new ImageSource(IMAGE_FD, input.digest);
  undo.add(leaseImage(storesOf(input), input.digest, images, write)); // added first: it goes last
  undo.add(() => log.remove());
  undo.add(() => spare.end());
  const problems = new ProblemLog(images, write);
  undo.add(() => problems.flush());
  const onProblem: ServeInput["onProblem"] = (problem) => problems.add(problem);
  signals.throwIfAsked();
  const lazy = await openLazy(input, images, write);
  undo.add(() => lazy?.close());
  const upper = await openWritable(input, images, write);
  undo.add(() => upper?.close());
  const endTurn = await takeTurn(input.target, input.below);
  undo.add(endTurn);
  const guard = startGuard(input.target, metricsSocket(input.metrics ?? "")); // before there is a mount
  atExit.add(() => guard.dismiss());
  const served = await serveImage(images, {
    ...input,
    ...defined({ writable: upper && { ...input.writable!, isNew: upper.isNew } }),
    supply: lazy,
    onProblem,
    spare,
  });
  upper?.keep();
  spare.end(); // this mode has no threads
  const mount = new LiveMount(input.target, served);
  undo.add(() => {
    mount.ended.catch(() => undefined); // told where it is waited for
    mount.end();
  });
  endTurn();
  const { device } = mount;
  guard.mounted(device);
  log.open(device);
  const prefetch = openPrefetch(input, images, served.leaves, { supply: lazy, onProblem });
  undo.add(() => prefetch?.stop());
  const state = stateOf(input, served, log.path);
  const announcement = await announce(input, { device, state, served, prefetch, lazy, log: write });
  undo.add(() => announcement.end());
  signals.throwIfAsked();
  tellLive({ transport: served.transport, device, log: log.path });
  if (input.lazy?.background === true) void lazy?.fetchAll();
  return mount;
}

/** In a function of its own, so that the image's memory is not held until all else has started. */
function serveImage(
  images: ImageSource,
  input: Omit<Parameters<typeof serveMode>[0], "image">,
): Promise<Served> {
  return serveMode({ ...input, image: images.memory() });
}

/** Makes the directories for changes ready; loaded only where there are some. */
async function openWritable(
  { writable, digest, stores, idmap }: ServerInput,
  images: ImageSource,
  log: (line: string) => void,
): Promise<Upper | undefined> {
  if (writable === undefined) return undefined;
  const { openUpper } = await import("../upper/upper.ts");
  const isMapped = idmap !== undefined;
  const image = { digest, stores, idmapped: isMapped, get: () => images.get() };
  const upper = await openUpper(writable, image);
  if (upper.completed !== undefined) {
    log(
      `--upper ${writable.upper}: taken over from another image, ${upper.completed} files completed`,
    );
  }
  return upper;
}

/** What fetches what no store has; loaded only where that is wanted. */
async function openLazy(
  input: ServerInput,
  images: ImageSource,
  log: (line: string) => void,
): Promise<LazyMount | undefined> {
  if (input.lazy === undefined) return undefined;
  const module = await import("./lazy.ts");
  return module.LazyMount.open(images.get(), storesOf(input), input.lazy, log);
}

function storesOf({ stores, foreignStore }: ServerInput): Stores {
  return Stores.open(stores, { foreignOwner: foreignStore });
}

/** @throws {@link NotFoundError} or others when the list cannot be read any more */
function openPrefetch(
  { prefetch, stores }: ServerInput,
  images: ImageSource,
  leaves: PrefetchInput["leaves"],
  hearers: ConstructorParameters<typeof Prefetch>[1],
): Prefetch | undefined {
  if (prefetch === undefined) return undefined;
  return new Prefetch(
    { image: images.memory(), leaves, stores, list: readPrefetchList(prefetch) },
    hearers,
  );
}

function stateOf(input: ServerInput, { transport }: Served, log: string | undefined): MountState {
  const { target, signed, mode, promise, stores, writable } = input;
  return defined({
    pid: process.pid,
    target,
    image: signed,
    mode,
    promise,
    transport,
    stores,
    writable: writable && {
      upper: realpathSync(writable.upper),
      work: realpathSync(writable.work),
    },
    since: new Date().toISOString(),
    log,
  });
}
