/** A process that answers one request after the other, for as long as the run goes on. @module */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Speaks to a Python script beside this file: bytes with their length (32 bits, little endian) before them; answers are lines of JSON. */
export class Child {
  readonly #script: string;
  #process: ChildProcessWithoutNullStreams | undefined;
  #lines: AsyncIterator<string> | undefined;

  constructor(script: string) {
    this.#script = fileURLToPath(new URL(script, import.meta.url));
  }

  async ask(request: Uint8Array): Promise<unknown> {
    if (this.#process === undefined) {
      const child = spawn("python3", [this.#script]);
      child.stderr.pipe(process.stderr);
      process.on("exit", () => child.kill());
      this.#process = child;
      this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    }
    const length = Buffer.alloc(4);
    length.writeUInt32LE(request.length);
    this.#process.stdin.write(Buffer.concat([length, request]));
    const { done, value } = await this.#lines!.next();
    if (done === true) throw new Error(`${this.#script}: it has ended`);
    return JSON.parse(value);
  }
}
