/**
 * Signatures of a bootstrap for users without sealfs: files beside it in the formats of OpenSSH and
 * minisign, over the bootstrap's own bytes. Their verifiers check these bytes and, where the format
 * has one, the comment; only sealfs checks name, expiry and version.
 *
 * Spec: docs/statement.md, "Sidecars".
 *
 * @module
 */
import { minisign, minisignKey } from "../trust/minisign.ts";
import type { PrivateKey } from "../trust/private-key.ts";
import { formatSshSignature, sshSignedBytes } from "../trust/sshsig.ts";
import type { Statement } from "../trust/statement.ts";
import { formatTime } from "../trust/time.ts";
import { writeUserFile } from "../fs/user-file.ts";

/** Formats of sidecars, and the suffixes of their files. */
export const sidecarEndings = { ssh: ".sig", minisign: ".minisig" } as const;
export type SidecarForm = keyof typeof sidecarEndings;

/** The namespace, as in `ssh-keygen -Y verify -n`. */
export const SSH_NAMESPACE = "bootstrap@sealfs.dev";

/** The content of a sidecar. */
export function sidecarOf(
  form: SidecarForm,
  bytes: Uint8Array,
  statement: Statement,
  key: PrivateKey,
): string {
  const { publicKey } = key;
  if (form === "ssh") {
    const signature = key.sign(sshSignedBytes(bytes, SSH_NAMESPACE));
    return formatSshSignature(publicKey, SSH_NAMESPACE, signature);
  }
  const { name, version, expires } = statement;
  const comment = `name:${name} version:${version} expires:${formatTime(expires)}`;
  return minisign(bytes, comment, publicKey, (message) => key.sign(message));
}

/** A sidecar that was written. */
export interface Sidecar {
  readonly path: string;
  /** The command with which others check it. */
  readonly check: string;
}

/** Writes the sidecars of an image file. */
export function writeSidecars(
  image: string,
  forms: readonly SidecarForm[],
  bytes: Uint8Array,
  statement: Statement,
  key: PrivateKey,
): Sidecar[] {
  return forms.map((form) => {
    const path = `${image}${sidecarEndings[form]}`;
    writeUserFile(path, sidecarOf(form, bytes, statement, key));
    return { path, check: checkCommand(form, image, path, key) };
  });
}

function checkCommand(form: SidecarForm, image: string, path: string, key: PrivateKey): string {
  return form === "minisign"
    ? `minisign -V -P ${minisignKey(key.publicKey)} -x ${path} -m ${image}`
    : `ssh-keygen -Y verify -f ALLOWED_SIGNERS -I IDENTITY -n ${SSH_NAMESPACE} -s ${path} <${image}`;
}
