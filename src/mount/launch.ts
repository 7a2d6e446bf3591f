/**
 * Starting the server process of a mount, and hearing whether it has mounted.
 *
 * @module
 */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { SealfsError, SystemError } from "../errors.ts";
import { anonymousFile } from "../sys/memfd.ts";
import { workerUrl } from "../sys/worker.ts";
import { STATUS_FD, type ServerInput, type ServerStatus } from "./server-input.ts";

/** A server that has mounted. */
export interface Launched {
  readonly child: ChildProcess;
  readonly status: ServerStatus & { readonly ok: true };
}

/**
 * Starts the server and waits until the mount is live or has failed.
 *
 * @throws {@link SystemError} or what else the server says
 */
export async function launch(image: Uint8Array, input: ServerInput): Promise<Launched> {
  const { fd } = anonymousFile(image);
  const { foreground } = input;
  const output = foreground ? "inherit" : "pipe";
  const stdio: StdioOptions = ["ignore", "ignore", output, fd, "pipe"];
  if (foreground) stdio.push("pipe");
  const script = fileURLToPath(workerUrl(import.meta.url, "./server.ts"));
  const child = spawn(process.execPath, [script, JSON.stringify(input)], {
    // Out of the terminal's process group: the command passes signals on, once.
    detached: true,
    cwd: "/",
    stdio,
  });
  closeSync(fd);
  const stderr = child.stderr === null ? Promise.resolve("") : textOf(child.stderr);
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  const text = await Promise.race([textOf(child.stdio[STATUS_FD] as Readable), failed]);
  if (text === "") {
    const reason = (await Promise.race([stderr, failed])).trim();
    throw new SystemError("IO", `mount server: ended before it mounted: ${reason}`);
  }
  const status = JSON.parse(text) as ServerStatus;
  if (!status.ok) throw errorOf(status);
  if (!foreground) release(child);
  return { child, status };
}

/** Lets this process end while the server goes on. */
function release(child: ChildProcess): void {
  child.stderr?.destroy();
  child.unref();
}

async function textOf(stream: Readable): Promise<string> {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("error", () => undefined);
  stream.on("data", (chunk: string) => {
    if (text.length < 64 * 1024) text += chunk;
  });
  await new Promise<void>((resolve) => stream.once("close", resolve));
  return text;
}

/** An error of another process, with its words; only what this machine lacks can go wrong there. */
function errorOf(status: ServerStatus & { ok: false }): SealfsError {
  const code = (systemCodes as readonly string[]).includes(status.code) ? status.code : "IO";
  const hint = status.hint === undefined ? {} : { hint: status.hint };
  return new SystemError(code as SystemError["code"], status.message, hint);
}

const systemCodes = [
  "NO_KOFFI",
  "NO_FUSE",
  "NO_FUSERMOUNT",
  "NO_LIBFUSE",
  "NO_IMAGE_DEVICE",
  "NO_OVERLAY",
  "NO_VERITY",
  "NO_PASSTHROUGH",
  "NO_IDMAP",
  "NO_MODE",
  "PERMISSION",
  "READ_ONLY",
  "NO_SPACE",
  "BUSY",
  "IO",
] as const satisfies readonly SystemError["code"][];
