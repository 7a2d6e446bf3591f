/**
 * What `sealfs sign` is asked for: which statement, and which key.
 *
 * @module
 */
import { UsageError } from "../../errors.ts";
import { type SealRequest, artifactBeside } from "../../composefs/seal.ts";
import { readPrivateKey, readPublicKey } from "../../keys/key-files.ts";
import type { PreparedTarget, TargetRequest } from "../../sign/sign-target.ts";
import { type SidecarForm, sidecarEndings, writeSidecars } from "../../sign/sidecars.ts";
import { type Signer, agentSigner, commandSigner, fileSigner } from "../../keys/signer.ts";
import { readUserFile } from "../../fs/user-file.ts";
import { settleValidity } from "../../sign/validity.ts";
import { limits } from "../../limits.ts";
import { PrivateKey } from "../../trust/private-key.ts";
import { passphraseFor } from "../terminal/passphrase.ts";
import { type SourceFlags, sourceOptions } from "./registry-options.ts";

export interface SignOptions extends SourceFlags {
  readonly key?: string;
  readonly passphraseFile?: string;
  readonly name?: string;
  readonly store?: string;
  readonly output?: string;
  readonly expires?: string;
  readonly created?: string;
  readonly version?: string;
  readonly add?: true;
  readonly bundle?: string[];
  readonly printPae?: true;
  readonly attach?: string;
  readonly pae?: string;
  readonly signCmd?: string;
  readonly sshAgent?: true;
  readonly withKey?: string;
  readonly sidecar?: string[];
  readonly composefsPkcs7?: true;
  readonly cert?: string;
  readonly source?: string;
}

/**
 * What `--composefs-pkcs7` asks for; undefined without it.
 *
 * @throws {@link UsageError} when a certificate, its key or the source is missing, or an option says
 *   what the draft has no place for
 */
export function sealRequestOf(image: string, options: SignOptions): SealRequest | undefined {
  const { composefsPkcs7, cert, key, source, store, output } = options;
  if (composefsPkcs7 === undefined) {
    if (cert === undefined && source === undefined) return undefined;
    throw new UsageError("USAGE", "--cert and --source: only with --composefs-pkcs7");
  }
  for (const option of NOT_SEALED) refuseTogether(options, ["composefsPkcs7", option]);
  if (cert === undefined || key === undefined || source === undefined) {
    throw new UsageError("USAGE", "--composefs-pkcs7: needs --cert, --key and --source", {
      hint: "the source is the OCI image that was built: its manifest and configuration are signed too",
    });
  }
  const stores = store === undefined ? undefined : [store];
  if (output === undefined && stores !== undefined) {
    throw new UsageError("USAGE", "--composefs-pkcs7: an image in a store needs --output");
  }
  const opening = sourceOptions(options);
  return { image, stores, source, opening, cert, key, output: output ?? artifactBeside(image) };
}

const NOT_SEALED = [
  "name",
  "expires",
  "created",
  "version",
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
  const { created, expires, version, add, attach, pae } = options;
  refuseTogether(options, ["key", "attach", "signCmd", "sshAgent", "printPae"]);
  refuseTogether(options, ["add", "pae"]);
  for (const option of ["created", "expires", "version"] as const) {
    refuseTogether(options, ["add", option]);
    refuseTogether(options, ["attach", option]);
  }
  if (add) return "add";
  if (attach !== undefined) {
    if (pae === undefined) {
      throw new UsageError("USAGE", "--attach: needs the bytes that were signed: --pae FILE");
    }
    const printed = readUserFile(pae, limits.envelopeBytes, `printed bytes ${pae}`);
    return { printed: Uint8Array.from(printed) };
  }
  const sourceDateEpoch = process.env["SOURCE_DATE_EPOCH"];
  return settleValidity({ created, expires, version, sourceDateEpoch }, now);
}

/** @throws {@link UsageError} when no key is named */
export function signerOf(options: SignOptions, warn: (message: string) => void): Signer {
  const { key, attach, signCmd, sshAgent, withKey } = options;
  if (key !== undefined) {
    return readPrivateKey(key, passphraseFor(key, options.passphraseFile), warn);
  }
  if (attach === undefined && signCmd === undefined && sshAgent === undefined) {
    throw new UsageError("USAGE", "key: which one signs?", {
      hint: "name it with --key, or one that is elsewhere with --attach, --sign-cmd or --ssh-agent",
    });
  }
  if (withKey === undefined) {
    throw new UsageError("USAGE", "--with-key: the public key of the signing key is needed");
  }
  const publicKey = readPublicKey(withKey);
  if (attach !== undefined) return fileSigner(attach, publicKey);
  return signCmd === undefined ? agentSigner(publicKey) : commandSigner(signCmd, publicKey);
}

/**
 * Writes the sidecars, when it is called.
 *
 * @throws {@link UsageError} when they cannot be made: the key is elsewhere, the image in a store
 */
export function sidecarsOf(
  { sidecar = [] }: SignOptions,
  { request, located, statement }: PreparedTarget,
  signer: Signer,
): () => string[] {
  if (sidecar.length === 0) return () => [];
  const forms = sidecar.map((form) => {
    if (form in sidecarEndings) return form as SidecarForm;
    throw new UsageError("USAGE", `sidecar: expected ssh or minisign, got ${form}`);
  });
  if (located.id !== undefined || !(signer instanceof PrivateKey)) {
    throw new UsageError("USAGE", "sidecar: only for an image file, with the key in a file");
  }
  return () => writeSidecars(request.target, forms, located.bytes, statement, signer);
}

function refuseTogether(options: SignOptions, names: readonly (keyof SignOptions)[]): void {
  const given = names.filter((name) => options[name] !== undefined);
  if (given.length < 2) return;
  const words = given.map((name) => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`);
  throw new UsageError("USAGE", `${words.join(" and ")}: one of them, not both`);
}
