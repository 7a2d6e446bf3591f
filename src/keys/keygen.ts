/**
 * Making key pairs.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { UsageError } from "../errors.ts";
import { PrivateKey } from "../trust/private-key.ts";
import { encryptKey } from "./encrypted-key.ts";
import { createUserFile } from "../fs/user-file.ts";

/** A key pair on the disk. */
export interface WrittenKeyPair {
  readonly keyId: string;
  /** Mode 0600. */
  readonly privatePath: string;
  readonly publicPath: string;
}

const SEED_BYTES = 32;

/**
 * Writes `PREFIX.key` and `PREFIX.pub`, a new Ed25519 key pair, the private half encrypted when there
 * is a passphrase.
 *
 * @throws {@link UsageError} when one of them exists; neither is touched then
 */
export function writeKeyPair(prefix: string, passphrase?: string): WrittenKeyPair {
  const privatePath = `${prefix}.key`;
  const publicPath = `${prefix}.pub`;
  if (existsSync(publicPath)) {
    throw new UsageError("USAGE", `${publicPath}: exists already, and is not overwritten`);
  }
  const key = new PrivateKey(randomBytes(SEED_BYTES));
  const pem = passphrase === undefined ? key.toPem() : encryptKey(key, passphrase);
  createUserFile(privatePath, pem, 0o600);
  try {
    createUserFile(publicPath, key.publicKey.toPem(), 0o644);
  } catch (error) {
    rmSync(privatePath, { force: true }); // half a pair is of no use
    throw error;
  }
  return { keyId: key.publicKey.id, privatePath, publicPath };
}
