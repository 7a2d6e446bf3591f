/**
 * Another process that reads a file step by step (see reader.py).
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What a step gave: bytes, an error number, or the reader's death by SIGBUS. */
export type Outcome = Buffer | { readonly errno: number } | "SIGBUS";

export class Reader {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<NodeJS.Signals | null>;

  constructor() {
    const script = fileURLToPath(new URL("./reader.py", import.meta.url));
    this.#child = spawn("python3", [script], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin!.on("error", () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#exit = new Promise((resolve) => this.#child.once("exit", (_, signal) => resolve(signal)));
  }

  async do(...words: (string | number)[]): Promise<Outcome> {
    this.#child.stdin!.write(`${words.join(" ")}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) {
      const signal = await this.#exit;
      if (signal === "SIGBUS") return signal;
      throw new Error(`the reader ended: ${signal}`);
    }
    const text: string = value;
    if (text.startsWith("errno ")) return { errno: Number(text.slice(6)) };
    return Buffer.from(text === "ok" ? "" : text, "hex");
  }

  async end(): Promise<void> {
    this.#child.stdin!.end();
    await this.#exit;
  }
}
