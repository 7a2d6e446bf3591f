/**
 * A small process that stands by while a mount lives. Should the server be killed, a dead mount would
 * stay that fails every reader; the guard then takes it away.
 *
 * @module
 */
import { type StdioOptions, spawn } from "node:child_process";
import { closeSync, readFileSync, writeSync } from "node:fs";
import { hasLibc } from "../../sys/koffi.ts";
import { makeInheritable, socketPair } from "../../sys/socket-pair.ts";
import { mountAt } from "../table/mountinfo.ts";
import { stateDirectory } from "../table/run-state.ts";

/**
 * The guard's program, a shell script: a small process that needs none of this project's files. The
 * server tells it through a pipe what has been mounted. The server is taken for dead
 *
 * - when the pipe ends. Programs that the server has started hold the pipe as well, so that a mount
 *   that fusermount3 is still about to make is not missed;
 * - when the server's first thread has ended, which the kernel tells by a signal (prctl(2),
 *   PR_SET_PDEATHSIG). A process cannot end, and neither can its pipe, while one of its threads waits
 *   for the file system that the others served; ending the file system's connection lets it end.
 */
const GUARD = "./guard.sh";
/** Asks for that signal, then runs the guard in its place. */
const ARM = "./arm.sh";

/** The shell gets the text: it need not be able to read the file, and holds none open. */
function script(file: string): string {
  return readFileSync(new URL(file, import.meta.url), "utf8");
}

/** A guard that stands by. */
export interface Guard {
  /** Tells what has been mounted. */
  mounted(device: string): void;
  /** The mount has ended well, or never came to be: nothing to clean up. */
  dismiss(): void;
}

/**
 * Starts the guard, before anything is mounted; `socket` is a further file that goes with the server.
 * It has to be started by the first thread of the server, which must not wait for its own file system.
 */
export function startGuard(target: string, socket = ""): Guard {
  const before = mountAt(target)?.device ?? "-";
  const words = [target, escaped(target), before, stateDirectory(), socket, String(process.pid)];
  return hasLibc() ? throughOwnPipe(words) : throughPipe(words);
}

function throughOwnPipe(words: readonly string[]): Guard {
  const [ours, theirs] = socketPair();
  start(words, theirs);
  closeSync(theirs);
  makeInheritable(ours);
  const say = (text: string) => {
    try {
      writeSync(ours, text);
    } catch {
      // it has ended: a dead mount would stay until it is unmounted
    }
  };
  return {
    mounted: (device) => say(`mounted ${device}\n`),
    dismiss: () => say("done\n"),
  };
}

/** Without koffi a program that the server has started may outlive the pipe for a moment. */
function throughPipe(words: readonly string[]): Guard {
  const { stdin } = start(words, "pipe");
  stdin?.on("error", () => undefined);
  (stdin as unknown as { unref(): void }).unref();
  return {
    mounted: (device) => void stdin?.write(`mounted ${device}\n`),
    dismiss: () => void stdin?.end("done\n"),
  };
}

function start(words: readonly string[], input: "pipe" | number) {
  const stdio: StdioOptions = [input, "ignore", "ignore"];
  const guard = spawn("/bin/sh", ["-c", script(ARM), "sealfs-guard", script(GUARD), ...words], {
    detached: true,
    cwd: "/",
    stdio,
  });
  guard.on("error", () => undefined); // no shell: a dead mount stays until it is unmounted
  guard.unref();
  return guard;
}

/** As the list of mounts writes it. */
function escaped(path: string): string {
  const octal = (c: string) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`;
  return path.replace(/[ \t\n\\]/g, octal);
}
