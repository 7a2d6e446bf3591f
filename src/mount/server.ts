/**
 * The server process of one mount. It gets the image's bytes through a descriptor, checks them
 * against the digest that the signature was checked for, mounts, says so, and serves until the mount
 * ends, a signal comes, or (in the foreground) the command that started it is gone.
 *
 * @module
 */
import { appendFileSync, closeSync, fstatSync, readSync, rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { IntegrityError, SealfsError, SystemError } from "../errors.ts";
import { Image } from "../erofs/image.ts";
import type { ServeInput, Served } from "../fuse/transport.ts";
import { algorithmOf, verityDigestOf } from "../verity/index.ts";
import { type Guard, endConnection, startGuard } from "./end.ts";
import type { LazyMount } from "./lazy.ts";
import { leaseImage } from "./lease.ts";
import { mountAt } from "./mountinfo.ts";
import { ProblemLog } from "./problem-log.ts";
import {
  IMAGE_FD,
  LIFE_FD,
  STATUS_FD,
  type ServerInput,
  type ServerStatus,
} from "./server-input.ts";
import { serveMode } from "./serve-mode.ts";
import { removeState, statePath, writeState } from "./state.ts";

/** A connection that does not end in this time is ended by the end of the process. */
const LAST_RESORT_MS = 1500;
/** The same for one that could not be told to end: the kernel ends it when its server is gone. */
const NO_END_MS = 50;

async function main(input: ServerInput): Promise<void> {
  let write: (line: string) => void = () => undefined;
  let device = "";
  let served: Served;
  let problems: ProblemLog;
  let guard: Guard;
  let release: () => void = () => undefined;
  let lazy: LazyMount | undefined;
  try {
    const image = readImage(input);
    const opened = Image.open(new Uint8Array(image));
    release = leaseImage(input.stores, input.digest, opened);
    problems = new ProblemLog(opened, (line) => write(line));
    const onProblem: ServeInput["onProblem"] = (problem) => problems.add(problem);
    const unmounted = () => goneFrom(input.target);
    lazy = await openLazy(input, opened, (line) => write(line));
    served = await serveMode({ ...input, image, supply: lazy, onProblem, unmounted });
    device = deviceOf(input.target);
    const log = input.log ?? (input.foreground ? undefined : newLog(device));
    write = logTo(log);
    watch(input, () => stop(input.target, device));
    writeState(device, { pid: process.pid, target: input.target });
    guard = startGuard(input.target, device);
    say({ ok: true, transport: served.transport, device, log });
    if (input.lazy?.background === true) void lazy?.fetchAll();
  } catch (error) {
    if (device !== "") endConnection(input.target, device);
    await lazy?.close();
    release();
    const { name, code, message, hint } = error as SealfsError;
    say({ ok: false, name, code, message, ...(hint === undefined ? {} : { hint }) });
    process.exitCode = 1;
    return;
  }
  try {
    await served.ended;
  } catch (error) {
    write(`the server ends: ${(error as Error).message}`);
    process.exitCode = 1;
    stop(input.target, device);
  } finally {
    problems.flush();
    await lazy?.close();
    release();
    removeState(device);
    guard.dismiss();
    for (const signal of signals) process.removeAllListeners(signal);
  }
  // fuse-native keeps a process alive for ever.
  if (served.transport === "libfuse") process.exit();
}

/** What fetches what no store has; loaded only where that is wanted. */
async function openLazy(
  { lazy, stores }: ServerInput,
  image: Image,
  log: (line: string) => void,
): Promise<LazyMount | undefined> {
  if (lazy === undefined) return undefined;
  const module = await import("./lazy.ts");
  return module.LazyMount.open(image, stores, lazy, log);
}

/** The image, in memory that the server's threads share and nobody else can write to. */
function readImage(input: ServerInput): SharedArrayBuffer {
  const shared = new SharedArrayBuffer(fstatSync(IMAGE_FD).size);
  const bytes = new Uint8Array(shared);
  for (let at = 0; at < bytes.length;) {
    const got = readSync(IMAGE_FD, bytes, at, bytes.length - at, at);
    if (got === 0) throw new IntegrityError("SIZE_MISMATCH", `image: ends at ${at}`);
    at += got;
  }
  closeSync(IMAGE_FD);
  const digest = verityDigestOf(bytes, algorithmOf(input.digest));
  if (digest === input.digest) return shared;
  throw new IntegrityError("DIGEST_MISMATCH", `image: expected ${input.digest}, got ${digest}`);
}

/** The device number of the mount; from the list, because stat would ask this very process. */
function deviceOf(target: string): string {
  const mount = mountAt(target);
  if (mount !== undefined) return mount.device;
  throw new SystemError("IO", `mount at ${target}: not in the list of mounts`);
}

const POLL_MS = 100;

/** Resolves when the file system that is mounted on `target` now is not there any more. */
async function goneFrom(target: string): Promise<void> {
  const device = mountAt(target)?.device;
  while (mountAt(target)?.device === device) await sleep(POLL_MS);
}

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** Ends the mount on a signal, and in the foreground when the command at the pipe's end is gone. */
function watch({ foreground }: ServerInput, end: () => void): void {
  for (const signal of signals) process.on(signal, end);
  if (!foreground) return;
  const life = new Socket({ fd: LIFE_FD, readable: true, writable: false });
  life.on("close", end).on("error", () => undefined);
  life.resume().unref(); // it must not keep the process when the mount has ended
}

function stop(target: string, device: string): void {
  const ending = endConnection(target, device);
  // A thread that blocks on a connection which does not end cannot be stopped otherwise, and the end
  // of the process ends the connection; the guard cleans up.
  const last = setTimeout(
    () => process.kill(process.pid, "SIGKILL"),
    ending ? LAST_RESORT_MS : NO_END_MS,
  );
  last.unref();
}

/** A log of its own for a mount in the background; what an earlier mount left there goes. */
function newLog(device: string): string {
  const path = statePath(device, "log");
  rmSync(path, { force: true });
  return path;
}

function logTo(file: string | undefined): (line: string) => void {
  return (line) => {
    const text = `${new Date().toISOString()} sealfs: ${line}\n`;
    try {
      if (file === undefined) writeSync(2, text);
      else appendFileSync(file, text, { mode: 0o600 });
    } catch {
      // a full disk or a closed terminal must not end the mount
    }
  };
}

function say(status: ServerStatus): void {
  try {
    writeSync(STATUS_FD, JSON.stringify(status));
    closeSync(STATUS_FD);
  } catch {
    // the command has gone; the mount is there all the same
  }
}

await main(JSON.parse(process.argv[2] ?? "{}") as ServerInput);
