/**
 * Passphrases: from a file, or typed on the terminal without being shown.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { harmless } from "../../bytes/harmless.ts";
import { UsageError } from "../../errors.ts";
import { readUserFile } from "../../fs/user-file.ts";
import { limits } from "../../limits.ts";

/** How to get the passphrase of `key`, once it is known to be needed. */
export function passphraseFor(key: string, file: string | undefined): () => string {
  return () =>
    file === undefined
      ? ask(`passphrase of ${harmless(key)}: `)
      : new TextDecoder()
          .decode(readUserFile(file, limits.keyBytes, `passphrase file ${file}`))
          .split(/\r?\n/, 1)[0]!;
}

/**
 * The passphrase of a key that is being made.
 *
 * @throws {@link UsageError} for an empty one, or two that differ
 */
export function newPassphrase(key: string, file: string | undefined): string {
  const passphrase = passphraseFor(key, file)();
  if (passphrase === "")
    throw new UsageError("USAGE", "passphrase: expected one, got an empty line");
  if (file === undefined && ask("the same again: ") !== passphrase) {
    throw new UsageError("USAGE", "passphrase: expected the same one twice");
  }
  return passphrase;
}

function ask(question: string): string {
  let fd: number;
  try {
    fd = openSync("/dev/tty", "r+");
  } catch (cause) {
    throw new UsageError("USAGE", "passphrase: expected a terminal to ask on, found none", {
      cause,
      hint: "give it in a file with --passphrase-file",
    });
  }
  const stty = (mode: string) => execFileSync("stty", [mode], { stdio: [fd, "ignore", "ignore"] });
  try {
    stty("-echo");
    try {
      writeSync(fd, question);
      return readLine(fd);
    } finally {
      stty("echo");
      writeSync(fd, "\n");
    }
  } finally {
    closeSync(fd);
  }
}

function readLine(fd: number): string {
  const buffer = Buffer.alloc(1024);
  let at = 0;
  while (at < buffer.length && readSync(fd, buffer, at, 1, null) === 1) {
    if (buffer[at] === 0x0a) break;
    at++;
  }
  return buffer.toString("utf8", 0, at);
}
