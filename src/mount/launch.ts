/**
 * Starting the server process of a mount, and learning whether it has mounted.
 *
 * @module
 */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { SystemError } from "../errors.ts";
import { failure } from "../fs/failure.ts";
import { emptyAnonymousFile, fillAnonymousFile } from "../sys/memfd.ts";
import { workerUrl } from "../sys/worker.ts";
import { STATUS_FD, type ServerInput } from "./server/server-input.ts";
import { type LiveStatus, parseServerStatus } from "./server/server-status.ts";

/** A server that has mounted. */
export interface Launched {
  readonly child: ChildProcess;
  readonly status: LiveStatus;
}

/** A server lives long and answers from little memory: it gives back what its start took. */
const NODE_FLAGS = ["--expose-gc", "--max-semi-space-size=1", "--v8-pool-size=1"];

/**
 * A server process that loads its code and waits to be told what to mount: it may be started before
 * the image has been verified, because it is given nothing until then.
 */
export class MountServer {
  readonly #child: ChildProcess;
  readonly #image: number;
  readonly #foreground: boolean;
  readonly #failed: Promise<never>;
  #isWaiting = true;

  /**
   * For a mount on `target`, which the list of processes shows.
   *
   * @throws {@link SystemError} when there is no memory for an image
   */
  constructor(target: string, foreground: boolean) {
    this.#foreground = foreground;
    this.#image = emptyAnonymousFile();
    const output = foreground ? "inherit" : "pipe";
    const stdio: StdioOptions = ["pipe", "ignore", output, this.#image, "pipe"];
    if (foreground) stdio.push("pipe");
    const script = fileURLToPath(workerUrl(import.meta.url, "./server/server.ts"));
    this.#child = spawn(process.execPath, [...NODE_FLAGS, script, JSON.stringify(target)], {
      // Out of the terminal's process group: the command passes signals on, once.
      detached: true,
      cwd: "/",
      stdio,
    });
    this.#failed = new Promise((_, reject) => this.#child.once("error", reject));
    this.#failed.catch(() => undefined); // reported to the caller that waits for it
    this.#child.stdin?.on("error", () => undefined); // its status tells more
  }

  /**
   * Hands the image over and waits until the mount is live or has failed.
   *
   * @throws what the server was stopped by; {@link SystemError} `IO` when it does not say
   */
  async mount(image: Uint8Array, input: ServerInput): Promise<Launched> {
    const child = this.#child;
    try {
      fillAnonymousFile(this.#image, image);
    } catch (error) {
      throw failure(`mount: image of ${image.length} bytes, in memory`, error);
    }
    this.#isWaiting = false;
    closeSync(this.#image);
    child.stdin?.end(JSON.stringify(input));
    const stderr = child.stderr === null ? Promise.resolve("") : textOf(child.stderr);
    const text = await Promise.race([textOf(child.stdio[STATUS_FD] as Readable), this.#failed]);
    if (text === "") {
      const reason = (await Promise.race([stderr, this.#failed])).trim();
      throw new SystemError("IO", `mount server: ended before it mounted: ${reason}`);
    }
    const status = parseServerStatus(text);
    if (!this.#foreground) release(child);
    return { child, status };
  }

  /** Ends the process, should it still wait. */
  abandon(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    closeSync(this.#image);
    this.#child.kill("SIGKILL");
  }
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
