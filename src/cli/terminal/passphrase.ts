/**
 * Passphrases that are typed on the terminal, without being shown.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { openSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { harmless } from "../../bytes/harmless.ts";
import { UsageError } from "../../errors.ts";
import type { PassphraseSource } from "../../keys/passphrase-source.ts";
import { interruptible } from "./interruption.ts";

/** How often a passphrase is asked for, when what was typed is not it; as ssh does. */
export const PASSPHRASE_TRIES = 3;
const MAX_LENGTH = 1024;

/** Asks for the passphrase of `key`; `isAgain` when what was typed before was not it. */
export function askPassphrase(key: string, isAgain: boolean): Promise<string> {
  const again = isAgain ? "wrong passphrase, try again; " : "";
  return ask(`${again}passphrase of ${harmless(key)}: `);
}

/**
 * The passphrase of a key that is being made.
 *
 * @throws {@link UsageError} for an empty one, or two that differ
 */
export async function newPassphrase(
  key: string,
  source: PassphraseSource | undefined,
): Promise<string> {
  if (source !== undefined) return source.read();
  const passphrase = await askPassphrase(key, false);
  if (passphrase === "")
    throw new UsageError("USAGE", "passphrase: expected one, got an empty line");
  if ((await ask("the same again: ")) !== passphrase) {
    throw new UsageError("USAGE", "passphrase: expected the same one twice");
  }
  return passphrase;
}

async function ask(question: string): Promise<string> {
  const fd = openTerminal();
  const stty = (mode: string) => execFileSync("stty", [mode], { stdio: [fd, "ignore", "ignore"] });
  return interruptible("passphrase", async (signal) => {
    const terminal = new ReadStream(fd);
    try {
      stty("-echo");
      try {
        writeSync(fd, question);
        return await readLine(terminal, signal);
      } finally {
        stty("echo");
        writeSync(fd, "\n");
      }
    } finally {
      terminal.destroy();
    }
  });
}

function openTerminal(): number {
  try {
    return openSync("/dev/tty", "r+");
  } catch (cause) {
    throw new UsageError("USAGE", "passphrase: expected a terminal to ask on, found none", {
      cause,
      hint: "give it with --passphrase-file: a file, env:NAME or fd:N",
    });
  }
}

async function readLine(terminal: ReadStream, signal: AbortSignal): Promise<string> {
  let text = Buffer.alloc(0);
  const isWhole = () => text.includes(0x0a) || text.length >= MAX_LENGTH;
  terminal.on("data", (chunk: Buffer) => {
    text = Buffer.concat([text, chunk]);
    if (isWhole()) terminal.pause().emit("line");
  });
  await Promise.race([once(terminal, "line", { signal }), once(terminal, "end", { signal })]);
  return text.toString("utf8").split("\n", 1)[0]!.replace(/\r$/, "");
}
