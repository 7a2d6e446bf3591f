/**
 * What `sealfs sign` signs, and with which key.
 *
 * @module
 */
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { type SealRequest, artifactBeside } from "../../composefs/seal.ts";
import { readPrivateKey, readPublicKey, unlockPrivateKey } from "../../keys/key-files.ts";
import type { PreparedTarget } from "../../sign/target.ts";
import type { TargetRequest } from "../../sign/target.ts";
import {
  type Sidecar,
  type SidecarForm,
  sidecarEndings,
  writeSidecars,
} from "../../sign/sidecars.ts";
import { type Signer, agentSigner, fileSigner } from "../../keys/signer.ts";
import { PAYLOAD_VARIABLE, commandSigner } from "../../keys/command-signer.ts";
import { readUserFile } from "../../fs/user-file.ts";
import { limits } from "../../limits.ts";
import { PrivateKey } from "../../trust/private-key.ts";
import { PASSPHRASE_TRIES, askPassphrase } from "../terminal/passphrase.ts";
import type { PassphraseSource } from "../../keys/passphrase-source.ts";
import { passphraseFile } from "./passphrase-option.ts";
import { repeated } from "./repeated.ts";
import { type StatementOptions, validityOf } from "./statement-options.ts";
import type { Io } from "../terminal/io.ts";
import { type SourceFlags, sourceOptions } from "./registry-options.ts";

export interface SignOptions extends StatementOptions, SourceFlags {
  readonly key?: string[];
  readonly passphraseFile?: PassphraseSource;
  readonly sshAgent?: true;
  readonly signCmd?: string;
  readonly withKey?: string;
  readonly printPae?: true;
  readonly attach?: string;
  readonly pae?: string;
  readonly name?: string;
  readonly store?: string;
  readonly foreignStore?: true;
  readonly output?: string;
  readonly add?: true;
  readonly bundle?: string[];
  readonly sidecar?: SidecarForm[];
  readonly composefsPkcs7?: true;
  readonly cert?: string;
  readonly source?: string;
}

/** Adds the options that name the key. */
export function declareKeys(command: Command): Command {
  return command
    .optionsGroup("Key:")
    .addOption(
      repeated(
        "--key <file>",
        "the private key (PKCS#8 PEM); - reads standard input; may be repeated: each signs",
      ),
    )
    .addOption(passphraseFile("the passphrase of an encrypted key"))
    .option("--ssh-agent", "sign with a key in ssh-agent (with --with-key)")
    .option(
      "--sign-cmd <command>",
      `sign with a shell command: bytes in (also as the file $${PAYLOAD_VARIABLE}), signature out`,
    )
    .option("--with-key <file>", "the public key, where the private one is elsewhere");
}

/** Adds the options that name the key, or take the signature from elsewhere. */
export function declareSigner(command: Command): Command {
  return declareKeys(command)
    .option("--print-pae", "do not sign, but write the bytes to sign to standard output")
    .option("--attach <file>", "add a signature made elsewhere (64 bytes, or base64; with --pae)")
    .option("--pae <file>", "with --attach: the bytes that --print-pae wrote");
}

/** Adds the options of statements that already have signatures. */
export function declareFurtherSigner(command: Command): Command {
  return command
    .option("--add", "add a signature to the statement that others have signed")
    .addOption(repeated("--bundle <file>", "with --add: that statement's bundle; may be repeated"));
}

/** Adds the options for signatures that other tools check. */
export function declareOtherTools(command: Command): Command {
  return command
    .optionsGroup("Other tools:")
    .addOption(
      repeated(
        "--sidecar <form>",
        "also sign the image file itself for ssh-keygen or minisign; may be repeated",
        Object.keys(sidecarEndings),
      ),
    )
    .option("--composefs-pkcs7", "sign for composefs's own tools: write their artifact (draft)")
    .option("--cert <file>", "with --composefs-pkcs7: the certificate (X.509 PEM) of --key")
    .option("--source <image>", "with --composefs-pkcs7: the OCI image that was built");
}

/**
 * What `--composefs-pkcs7` asks for; undefined without it.
 *
 * @throws {@link UsageError} when a certificate, its key or the source is missing, or an option says
 *   what the draft has no place for
 */
export function sealRequestOf(
  image: string,
  options: SignOptions,
  io: Io,
): SealRequest | undefined {
  const { composefsPkcs7, cert, key: keys, source, store, output } = options;
  if (composefsPkcs7 === undefined) {
    if (cert === undefined && source === undefined) return undefined;
    throw new UsageError("USAGE", "--cert and --source: expected --composefs-pkcs7 as well");
  }
  for (const option of NOT_SEALED) refuseTogether(options, ["composefsPkcs7", option]);
  const [key, another] = keys ?? [];
  if (another !== undefined) {
    throw new UsageError("USAGE", "--composefs-pkcs7: expected one --key, that of the certificate");
  }
  if (cert === undefined || key === undefined || source === undefined) {
    throw new UsageError(
      "USAGE",
      "--composefs-pkcs7: expected --cert, --key and --source as well",
      {
        hint: "the source is the OCI image that was built: its manifest and configuration are signed too",
      },
    );
  }
  const stores = store === undefined ? undefined : [store];
  if (output === undefined && stores !== undefined) {
    throw new UsageError("USAGE", "--composefs-pkcs7: expected --output for an image in a store");
  }
  const opening = sourceOptions(options, io);
  return { image, stores, source, opening, cert, key, output: output ?? artifactBeside(image) };
}

const NOT_SEALED = [
  "name",
  "expires",
  "created",
  "version",
  "policy",
  "add",
  "bundle",
  "printPae",
  "attach",
  "signCmd",
  "sshAgent",
  "withKey",
  "sidecar",
] as const;

/** @throws {@link UsageError} for options that contradict one another */
export function sayOf(options: SignOptions, now: Date): TargetRequest["say"] {
  const { add, attach, pae } = options;
  refuseTogether(options, ["key", "attach", "signCmd", "sshAgent", "printPae"]);
  refuseTogether(options, ["add", "pae"]);
  for (const option of ["created", "expires", "version"] as const) {
    refuseTogether(options, ["add", option]);
    refuseTogether(options, ["attach", option]);
  }
  if (add) return "add";
  if (attach !== undefined) {
    if (pae === undefined) {
      throw new UsageError("USAGE", "--attach: expected --pae with the bytes that were signed");
    }
    const printed = readUserFile(pae, limits.envelopeBytes, `printed bytes ${pae}`);
    return { printed: Uint8Array.from(printed) };
  }
  return validityOf(options, now);
}

/**
 * Private keys from files, each once.
 *
 * @throws {@link UsageError} for the same key twice
 */
export async function readPrivateKeys(
  files: readonly string[],
  passphrase: PassphraseSource | undefined,
  warn: (message: string) => void,
): Promise<PrivateKey[]> {
  const keys = new Map<string, PrivateKey>();
  for (const [i, file] of files.entries()) {
    if (file === "-" && files.indexOf("-") < i) throw givenTwice("-");
    const ask = (isAgain: boolean) => askPassphrase(file, isAgain);
    const key =
      passphrase === undefined
        ? await unlockPrivateKey(file, { ask, tries: PASSPHRASE_TRIES, warn })
        : readPrivateKey(file, () => passphrase.read(), warn);
    if (keys.has(key.publicKey.id)) throw givenTwice(key.publicKey.id);
    keys.set(key.publicKey.id, key);
  }
  return [...keys.values()];
}

function givenTwice(key: string): UsageError {
  return new UsageError("USAGE", `--key: ${key} given twice`, {
    hint: "a key signs once: give each of several keys once",
  });
}

/** @throws {@link UsageError} when no key is named */
export async function signersOf(
  options: SignOptions,
  warn: (message: string) => void,
): Promise<readonly [Signer, ...Signer[]]> {
  const { key, attach, signCmd, sshAgent, withKey } = options;
  if (key !== undefined) {
    const [first, ...others] = await readPrivateKeys(key, options.passphraseFile, warn);
    return [first!, ...others];
  }
  if (attach === undefined && signCmd === undefined && sshAgent === undefined) {
    throw new UsageError("USAGE", "key: expected one to sign with, got none", {
      hint: "give it with --key, or use one elsewhere with --attach, --sign-cmd or --ssh-agent",
    });
  }
  if (withKey === undefined) {
    throw new UsageError("USAGE", "--with-key: expected the public key of the signing key");
  }
  const publicKey = readPublicKey(withKey);
  if (attach !== undefined) return [fileSigner(attach, publicKey)];
  return [signCmd === undefined ? agentSigner(publicKey) : commandSigner(signCmd, publicKey)];
}

/**
 * Writes the sidecars, when it is called.
 *
 * @throws {@link UsageError} when they cannot be made: the key is elsewhere, the image in a store
 */
export function sidecarsOf(
  { sidecar = [] }: SignOptions,
  { request, located, statement }: PreparedTarget,
  [signer, ...others]: readonly [Signer, ...Signer[]],
): () => Sidecar[] {
  if (sidecar.length === 0) return () => [];
  if (located.id !== undefined || !(signer instanceof PrivateKey) || others.length > 0) {
    throw new UsageError("USAGE", "--sidecar: expected an image file, and one --key");
  }
  return () => writeSidecars(request.target, sidecar, located.bytes, statement, signer);
}

function refuseTogether(options: SignOptions, names: readonly (keyof SignOptions)[]): void {
  const given = names.filter((name) => options[name] !== undefined);
  if (given.length < 2) return;
  const words = given.map((name) => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`);
  throw new UsageError("USAGE", `${words.join(" and ")}: expected only one of them`);
}
