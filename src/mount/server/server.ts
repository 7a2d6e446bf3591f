/**
 * The server process of one mount. It loads its code and waits for its input. It gets the image's bytes
 * through a descriptor, checks them against the digest that the signature was checked for, mounts, says
 * so, and serves until the mount ends, a signal comes, or (in the foreground) the command that started
 * it has ended.
 *
 * @module
 */
import { readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { SealfsError } from "../../errors.ts";
import { failure } from "../../fs/failure.ts";
import { SpareThread } from "../../fuse/threads.ts";
import { refuseDebugger } from "../../sys/no-debugger.ts";
import { releaseResident } from "../../sys/resident.ts";
import { hashInLanes } from "../../sys/sha256-lanes.ts";
import { sourceStack } from "../../sys/source-stack.ts";
import type { LiveMount } from "./live-mount.ts";
import type { ServerInput } from "./server-input.ts";
import { ServerLog } from "./server-log.ts";
import { tellFailure } from "./server-status.ts";
import { Signals } from "./signals.ts";
import { startMount } from "./start.ts";
import { Undo } from "./undo.ts";

/** A connection that does not end in this time is ended by the end of the process. */
const LAST_RESORT_MS = 1500;
/** The same for one that could not be told to end: the kernel ends it when its server has ended. */
const NO_END_MS = 50;
/** After this time a mount is no longer new: what waited for it has had a first answer. */
const SETTLED_MS = 1000;
/** What is undone before a kill may take this long. */
const UNDO_MS = 1000;

async function main(input: ServerInput, spare: SpareThread): Promise<void> {
  const signals = new Signals(input.foreground); // heard from now on
  const log = new ServerLog(input);
  const onError = (error: unknown) => log.write(`at the end: ${(error as Error).message}`);
  const undo = new Undo(onError);
  const atExit = new Undo(onError);
  atExit.add(() => signals.close());
  let mount: LiveMount;
  try {
    mount = await startMount(input, { signals, log, spare, undo, atExit });
  } catch (error) {
    await undo.run();
    tellFailure(error);
    await atExit.run();
    // Threads may still wait for a connection that ends a moment later.
    setTimeout(killSelf, LAST_RESORT_MS).unref();
    process.exitCode = 1;
    return;
  }
  setTimeout(giveBack, SETTLED_MS).unref();
  signals.onAsked(() => stop(mount, undo));
  try {
    await mount.ended;
  } catch (error) {
    log.write(`the server ends: ${(error as Error).message}`);
    log.keep();
    process.exitCode = 1;
    stop(mount, undo);
  }
  await undo.run();
  await atExit.run();
  // fuse-native keeps a process alive forever.
  if (mount.served.transport === "libfuse") process.exit();
}

/** A server lives long and answers from little memory: what its start took is given back. */
function giveBack(): void {
  globalThis.gc?.();
  releaseResident();
}

function stop(mount: LiveMount, undo: Undo): void {
  const isEnding = mount.end();
  // A thread that blocks on a connection which does not end cannot be stopped otherwise, and the end
  // of the process ends the connection; should the mount still be there, the guard takes it away.
  const last = async () => {
    await Promise.race([undo.run(), sleep(UNDO_MS)]);
    killSelf();
  };
  setTimeout(() => void last(), isEnding ? LAST_RESORT_MS : NO_END_MS).unref();
}

function killSelf(): void {
  process.kill(process.pid, "SIGKILL");
}

/**
 * An error that nothing has caught. Node would end the process, and wait for its threads to end; but
 * one that waits for the kernel's next request does not, and the mount would neither answer nor go.
 */
function endAtOnce(error: unknown): void {
  const { code, syscall } = error as NodeJS.ErrnoException;
  // Node itself wrote to a command that has ended.
  if (code === "EPIPE" && syscall === "write") return;
  const reason = failure("mount server", error);
  if (reason instanceof SealfsError) tellFailure(reason);
  try {
    writeSync(2, `${sourceStack(inspect(error))}\n`);
  } catch {
    // nobody listens
  }
  killSelf(); // the guard takes the mount away
}

refuseDebugger();
process.on("uncaughtException", endAtOnce);
hashInLanes();
// A thread loads its code while this one waits; without threads nothing else is done here yet.
const spare = new SpareThread();
const text = readFileSync(0, "utf8");
if (text === "") killSelf(); // there is nothing to mount
void main(JSON.parse(text) as ServerInput, spare);
