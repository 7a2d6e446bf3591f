/**
 * The server process of one mount. It loads its code and waits for its input. It gets the image's bytes through a descriptor, checks them
 * against the digest that the signature was checked for, mounts, says so, and serves until the mount
 * ends, a signal comes, or (in the foreground) the command that started it is gone.
 *
 * @module
 */
import { readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { SystemError } from "../../errors.ts";
import { defined } from "../../optional.ts";
import { hashInLanes } from "../../sys/sha256-lanes.ts";
import { SpareThread } from "../../fuse/threads.ts";
import { releaseResident } from "../../sys/resident.ts";
import { Prefetch } from "../../fuse/prefetch/prefetch.ts";
import type { PrefetchInput } from "../../fuse/prefetch/prefetch-input.ts";
import type { ServeInput, Served } from "../../fuse/transport.ts";
import { type Attendance, attend } from "./attendance.ts";
import { endConnection } from "../table/end.ts";
import { type Guard, startGuard } from "../guard/guard.ts";
import { ImageSource } from "./image-source.ts";
import type { LazyMount } from "./lazy.ts";
import { leaseImage } from "./image-lease.ts";
import { metricsSocket } from "../report/metrics-output.ts";
import { mountAt } from "../table/mountinfo.ts";
import { readPrefetchList } from "./prefetch-option.ts";
import { ProblemLog } from "./problem-log.ts";
import { IMAGE_FD, type ServerInput } from "./server-input.ts";
import { tellFailure, tellLive } from "./server-status.ts";
import { serveMode } from "./serve-mode.ts";
import { ServerLog } from "./server-log.ts";
import { Signals } from "./signals.ts";
import type { MountState } from "../table/run-state.ts";

/** A connection that does not end in this time is ended by the end of the process. */
const LAST_RESORT_MS = 1500;
/** The same for one that could not be told to end: the kernel ends it when its server is gone. */
const NO_END_MS = 50;
/** So long after its start a mount is no longer new: whoever waited for it has had a first answer. */
const SETTLED_MS = 1000;
/** What is to be done before that may take so long. */
const TIDY_MS = 1000;

async function main(input: ServerInput, spare: SpareThread): Promise<void> {
  const signals = new Signals(input.foreground); // whoever wants an end is heard from now on
  const log = new ServerLog(input);
  let guard: Guard | undefined;
  let device = "";
  let release: () => void = () => undefined;
  let attendance: Attendance | undefined;
  let served: Served | undefined;
  let problems: ProblemLog;
  let lazy: LazyMount | undefined;
  let prefetch: Prefetch | undefined;
  try {
    const images = new ImageSource(IMAGE_FD, input.digest);
    release = leaseImage(input.stores, input.digest, images);
    problems = new ProblemLog(images, (line) => log.write(line));
    const onProblem: ServeInput["onProblem"] = (problem) => problems.add(problem);
    signals.throwIfAsked();
    guard = startGuard(input.target, metricsSocket(input.metrics ?? "")); // before there is a mount
    lazy = await openLazy(input, images, (line) => log.write(line));
    served = await serveImage(images, { ...input, supply: lazy, onProblem, spare });
    spare.end(); // this mode has no threads
    device = deviceOf(input.target);
    guard.mounted(device);
    log.open(device);
    prefetch = openPrefetch(input, images, served.leaves, { supply: lazy, onProblem });
    const state = stateOf(input, served, log.path);
    attendance = await attend(input, {
      device,
      state,
      served,
      prefetch,
      lazy,
      log: (line) => log.write(line),
    });
    signals.throwIfAsked();
    tellLive({ transport: served.transport, device, log: log.path });
    if (input.lazy?.background === true) void lazy?.fetchAll();
    setTimeout(giveBack, SETTLED_MS).unref();
  } catch (error) {
    spare.end();
    served?.ended.catch(() => undefined); // for the reason that is told here
    if (device !== "") endConnection(input.target, device);
    attendance?.end();
    prefetch?.stop();
    await lazy?.close();
    log.remove();
    release();
    guard?.dismiss();
    tellFailure(error);
    // Threads may still wait for a connection that ends a moment later.
    setTimeout(() => process.kill(process.pid, "SIGKILL"), LAST_RESORT_MS).unref();
    process.exitCode = 1;
    signals.close();
    return;
  }
  let well = true;
  let tidied: Promise<void> | undefined;
  const tidy = () =>
    (tidied ??= (async () => {
      problems.flush();
      prefetch?.stop();
      await lazy?.close();
      release();
      attendance.end();
      if (well) log.remove();
    })());
  signals.onAsked(() => stop(input.target, device, tidy));
  try {
    await served.ended;
  } catch (error) {
    well = false;
    log.write(`the server ends: ${(error as Error).message}`);
    process.exitCode = 1;
    stop(input.target, device, tidy);
  }
  await tidy();
  guard.dismiss();
  signals.close();
  // fuse-native keeps a process alive for ever.
  if (served.transport === "libfuse") process.exit();
}

/** A server lives long and answers from little memory: what its start took is given back. */
function giveBack(): void {
  globalThis.gc?.();
  releaseResident();
}

/** In a function of its own, so that nothing of it is held afterwards: {@link main} never returns. */
function serveImage(
  images: ImageSource,
  input: Omit<Parameters<typeof serveMode>[0], "image">,
): Promise<Served> {
  return serveMode({ ...input, image: images.memory() });
}

/** What fetches what no store has; loaded only where that is wanted. */
async function openLazy(
  { lazy, stores }: ServerInput,
  images: ImageSource,
  log: (line: string) => void,
): Promise<LazyMount | undefined> {
  if (lazy === undefined) return undefined;
  const module = await import("./lazy.ts");
  return module.LazyMount.open(images.get(), stores, lazy, log);
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

/** The device number of the mount; from the list, because stat would ask this very process. */
function deviceOf(target: string): string {
  const mount = mountAt(target);
  if (mount !== undefined) return mount.device;
  throw new SystemError("IO", `mount at ${target}: not in the list of mounts`);
}

function stateOf(input: ServerInput, { transport }: Served, log: string | undefined): MountState {
  const { target, signed, mode, promise, stores } = input;
  return defined({
    pid: process.pid,
    target,
    image: signed,
    mode,
    promise,
    transport,
    stores,
    since: new Date().toISOString(),
    log,
  });
}

function stop(target: string, device: string, tidy: () => Promise<void>): void {
  const ending = endConnection(target, device);
  // A thread that blocks on a connection which does not end cannot be stopped otherwise, and the end
  // of the process ends the connection; should the mount still be there, the guard takes it away.
  const last = async () => {
    await Promise.race([tidy(), sleep(TIDY_MS)]);
    process.kill(process.pid, "SIGKILL");
  };
  setTimeout(() => void last(), ending ? LAST_RESORT_MS : NO_END_MS).unref();
}

/**
 * An error that nobody has expected. Node would end the process, and wait for its threads to end; but
 * one that waits for the kernel's next request does not, and the mount would neither answer nor go.
 */
function endAtOnce(error: unknown): void {
  const { code, syscall } = error as NodeJS.ErrnoException;
  // Node's own words to a command that has gone.
  if (code === "EPIPE" && syscall === "write") return;
  try {
    writeSync(2, `${inspect(error)}\n`);
  } catch {
    // nobody listens
  }
  process.kill(process.pid, "SIGKILL"); // the guard takes the mount away
}

process.on("uncaughtException", endAtOnce);
hashInLanes();
// A thread loads its code while this one waits; without threads nothing else is done here yet.
const spare = new SpareThread();
const text = readFileSync(0, "utf8");
if (text === "") process.kill(process.pid, "SIGKILL"); // there is nothing to mount
void main(JSON.parse(text) as ServerInput, spare);
