/**
 * A key behind a command: in an HSM, on a card, in a cloud's key service.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SystemError } from "../errors.ts";
import { failure } from "../fs/failure.ts";
import { limits } from "../limits.ts";
import type { PublicKey } from "../trust/public-key.ts";
import { type Signer, parseSignature } from "./signer.ts";

/** The environment variable that has the path of the message. */
export const PAYLOAD_VARIABLE = "SEALFS_PAYLOAD";

/**
 * A shell command that gets the message, on standard input and as the file `$SEALFS_PAYLOAD`, and
 * writes the signature to standard output: 64 bytes, or their base64. The file lies in a folder that
 * only this user may enter, and goes with the command.
 */
export function commandSigner(command: string, publicKey: PublicKey): Signer {
  return {
    publicKey,
    async sign(message, signal) {
      const folder = privateFolder();
      try {
        const payload = join(folder, "payload");
        writeFileSync(payload, message, { mode: 0o600 });
        const output = await run(command, message, payload, signal);
        return parseSignature(output, "output of the signing command");
      } catch (error) {
        throw failure("signing command", error);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

function privateFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), "sealfs-sign-"));
  } catch (error) {
    throw failure("signing command", error);
  }
}

/** What the command writes to standard output. */
function run(
  command: string,
  input: Uint8Array,
  payload: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", command], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, [PAYLOAD_VARIABLE]: payload },
    });
    const end = () => {
      child.kill();
      child.stdout.destroy(); // what it has started may hold the other end
    };
    const fail = (reason: string, cause?: unknown) => {
      end();
      reject(new SystemError("IO", `signing command: ${reason}`, { cause }));
    };
    const chunks: Buffer[] = [];
    let length = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > limits.keyBytes) fail(`its output is over ${limits.keyBytes} bytes`);
    });
    child.on("error", (error) => fail(error.message, error));
    child.on("close", (status, killedBy) => {
      signal?.removeEventListener("abort", end);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else if (status === 0) resolve(Buffer.concat(chunks));
      else fail(`exit status ${status ?? killedBy}`);
    });
    // A command that reads the file need not read this.
    child.stdin.on("error", () => undefined).end(input);
    signal?.addEventListener("abort", end);
    if (signal?.aborted === true) end();
  });
}
