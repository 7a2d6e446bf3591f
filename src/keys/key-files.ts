/**
 * Key files on this machine: private keys that nobody else may read, and the public keys that are
 * trusted.
 *
 * @module
 */
import { createPrivateKey } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { NotFoundError, TrustError, UsageError } from "../errors.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { limits } from "../limits.ts";
import { isPublic } from "../trust/key-kind.ts";
import { Keyring } from "../trust/keyring.ts";
import { type PrivateKey, isEncrypted, parsePrivateKey } from "../trust/private-key.ts";
import { type PublicKey, parsePublicKey } from "../trust/public-key.ts";
import { weaknessOf } from "./encrypted-key.ts";

/** Names of the files that are read from a folder of keys; others are ignored. */
const PUBLIC_KEY_FILE = /^[^.].*\.(?:pem|pub)$/;
const GROUP_AND_OTHERS = 0o077;
/** The pair in `keys/`, whose private half is public. */
const TEST_KEY_ID = "SHA256:1KzKE/9yZ9vhaSeUVwPLSErqV8bEXKX6SsW/+P4jCdI";

/**
 * Reads a private key, from standard input when `path` is `-`. `passphrase` is asked for only when
 * the key is encrypted; `warn` is called when the encryption is weak.
 *
 * @throws {@link TrustError} `BAD_KEY`, also for a file that group or others may read
 * @throws {@link NotFoundError} `NO_FILE`
 */
export function readPrivateKey(
  path: string,
  passphrase?: () => string,
  warn?: (message: string) => void,
): PrivateKey {
  const { what, text } = readKeyText(path);
  if (passphrase === undefined || !isEncrypted(text)) return parsePrivateKey(text, what);
  warnOfWeakness(text, what, warn);
  return parsePrivateKey(decrypt(text, passphrase(), what), what);
}

/** How a person is asked for a passphrase. */
export interface Questions {
  /** Asks once; `isAgain` when the answer before was wrong. */
  readonly ask: (isAgain: boolean) => Promise<string>;
  /** How often a person may be wrong, and once more. */
  readonly tries: number;
  readonly warn?: (message: string) => void;
}

/**
 * Reads a private key as {@link readPrivateKey} does, with a passphrase that a person types and may
 * have typed wrong.
 *
 * @throws as {@link readPrivateKey}
 */
export async function unlockPrivateKey(
  path: string,
  { ask, tries, warn }: Questions,
): Promise<PrivateKey> {
  const { what, text } = readKeyText(path);
  if (!isEncrypted(text)) return parsePrivateKey(text, what);
  warnOfWeakness(text, what, warn);
  for (let asked = 0; ; asked++) {
    const passphrase = await ask(asked > 0);
    try {
      return parsePrivateKey(decrypt(text, passphrase, what), what);
    } catch (error) {
      if (asked + 1 >= tries) throw error;
    }
  }
}

function readKeyText(path: string): { readonly what: string; readonly text: string } {
  const what = path === "-" ? "private key on standard input" : `private key ${path}`;
  return { what, text: readKeyFile(path, what, true) };
}

function warnOfWeakness(text: string, what: string, warn?: (message: string) => void): void {
  const weakness = weaknessOf(text);
  if (weakness !== undefined) warn?.(`warning: ${what}: ${weakness}`);
}

/**
 * Reads one public key.
 *
 * @throws {@link TrustError} `BAD_KEY`; {@link NotFoundError} `NO_FILE`
 */
export function readPublicKey(path: string): PublicKey {
  const what = `public key ${path}`;
  return parsePublicKey(readKeyFile(path, what, false), what);
}

/**
 * The keyring that single files and folders of `*.pem` and `*.pub` files make together. A key that is in
 * several of them counts once.
 *
 * @throws {@link UsageError} for neither; {@link TrustError} `NO_KEY` for folders without keys,
 *   `BAD_KEY` when a file is not a valid key; {@link NotFoundError} `NO_FILE`
 */
export function readKeyring(files: readonly string[], folders: readonly string[]): Keyring {
  const paths = [...files, ...folders.flatMap(keyFilesIn)];
  if (files.length === 0 && folders.length === 0) {
    throw new UsageError("USAGE", "--key: expected a public key to trust, got none", {
      hint: "give one with --key FILE, a directory of *.pem and *.pub files with --keys DIR, or a trust policy with --policy FILE",
    });
  }
  if (paths.length === 0) {
    const hint = "only files that end in .pem or .pub are read";
    throw new TrustError("NO_KEY", `keyring: no public key in ${folders.join(", ")}`, { hint });
  }
  const keys = paths.map(readPublicKey).map((key): [string, PublicKey] => [key.id, key]);
  return new Keyring([...new Map(keys).values()]);
}

/** A warning for users who rely on these keys; undefined when there is nothing to warn of. */
export function keyringWarning(keyring: Keyring): string | undefined {
  if (keyring.get(TEST_KEY_ID) === undefined) return undefined;
  return `warning: the TEST-ONLY key is trusted, and everybody has its private half: ${TEST_KEY_ID}`;
}

function keyFilesIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => PUBLIC_KEY_FILE.test(name));
    return names.sort().map((name) => join(folder, name));
  } catch (cause) {
    throw fileError(cause, `directory of keys ${folder}`, FILE_HINT);
  }
}

/**
 * The text of a private key of any kind, such as RSA for a kernel's keyring.
 *
 * @throws {@link TrustError} `BAD_KEY` for a file that group or others may read
 */
export function readSecretText(path: string): string {
  return readKeyFile(path, `private key ${path}`, true);
}

function readKeyFile(path: string, what: string, secret: boolean): string {
  try {
    const fd = path === "-" ? 0 : openSync(path, "r");
    try {
      const text = new TextDecoder().decode(readUpTo(fd, limits.keyBytes, what));
      // What is public was given by mistake: its mode is not what is wrong.
      if (secret && path !== "-" && !isPublic(text)) refuseReadableByOthers(fd, path, what);
      return text;
    } finally {
      if (fd !== 0) closeSync(fd);
    }
  } catch (cause) {
    throw fileError(cause, what, secret ? undefined : FOLDER_HINT);
  }
}

const FOLDER_HINT = "a directory of public keys is given with --keys";
const FILE_HINT = "the file of one key is given with --key";

/** As OpenSSH does: a private key that others can read is not private. */
function refuseReadableByOthers(fd: number, path: string, what: string): void {
  const stat = fstatSync(fd);
  if (!stat.isFile() || (stat.mode & GROUP_AND_OTHERS) === 0) return;
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, "0");
  throw new TrustError("BAD_KEY", `${what}: mode ${mode} lets others read it`, {
    hint: `chmod 600 ${path}`,
  });
}

function readUpTo(fd: number, max: number, what: string): Uint8Array {
  const bytes = new Uint8Array(max + 1);
  let at = 0;
  while (at < bytes.length) {
    const got = readSync(fd, bytes, at, bytes.length - at, null);
    if (got === 0) return bytes.subarray(0, at);
    at += got;
  }
  throw new TrustError("BAD_KEY", `${what}: expected at most ${max} bytes, got more`);
}

/** OpenSSL decrypts; the key is then parsed by our own parser like any other. */
function decrypt(text: string, passphrase: string, what: string): string {
  try {
    const key = createPrivateKey({ key: text.slice(text.indexOf("-----BEGIN")), passphrase });
    return key.export({ format: "pem", type: "pkcs8" }).toString();
  } catch (cause) {
    const message = `${what}: cannot be decrypted: wrong passphrase, or a method OpenSSL refuses`;
    throw new TrustError("BAD_KEY", message, { cause });
  }
}

/** `hint` is about a directory in place of a file, or the reverse. */
function fileError(cause: unknown, what: string, hint: string | undefined): Error {
  switch (errnoOf(cause)) {
    case "ENOENT":
      return new NotFoundError(
        "NO_FILE",
        `${what}: no such ${hint === FILE_HINT ? "directory" : "file"}`,
      );
    case "EISDIR":
      return new UsageError("USAGE", `${what}: expected a file, got a directory`, { hint });
    case "ENOTDIR":
      return new UsageError("USAGE", `${what}: expected a directory, got a file`, { hint });
    default:
      return failure(what, cause);
  }
}

/** Whether `path` is a folder, for arguments that take either. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
