/**
 * What a key file holds, for the message about one that is of another kind than expected.
 *
 * @module
 */
import { decodeBase64 } from "./base64.ts";

/** Lengths of signify's and minisign's files behind their comment line. */
const SIGNIFY_SIZES: ReadonlyMap<number, string> = new Map([
  [2 + 8 + 32, "a public key"],
  [2 + 8 + 64, "a signature"],
  [104, "a private key"], // signify
  [158, "a private key"], // minisign
]);

/** What to do about a private key where a public one is expected. */
export const SECRET_HINT =
  "give the .pub file; a private key belongs on the machine that signs, and nowhere else";

/** `a public key`, `a private key`, `a certificate` and the like. */
export function keyKind(text: string): string {
  const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text)?.[1];
  if (label !== undefined) return pemKind(label);
  if (/^(?:ssh-|ecdsa-|sk-)[a-z0-9@.-]+ AAAA/.test(text)) return "a public key";
  const signify = /^untrusted comment: [^\r\n]*\r?\n([A-Za-z0-9+/=]+)\s/.exec(`${text}\n`);
  if (signify !== null) return signifyKind(decodeBase64(signify[1]!)?.length ?? 0);
  if (text.trim() === "") return "an empty file";
  if (/^\s*\{/.test(text)) return "JSON";
  // eslint-disable-next-line no-control-regex -- DER is full of them
  return /[\0-\x08\ufffd]/.test(text) ? "binary data" : "other text";
}

/** Whether the file holds a public key and nothing that is secret. */
export function isPublic(text: string): boolean {
  const kind = keyKind(text);
  return kind === "a public key" || kind === "a certificate";
}

/** What to do about a file of this kind where a public key is expected. */
export function publicKeyHint(text: string): string | undefined {
  const kind = keyKind(text);
  if (kind === "JSON") return "a trust policy is given with --policy, a bundle with --bundle";
  if (kind === "binary data") return "DER becomes PEM with openssl pkey -pubin -inform DER";
  if (kind !== "a private key") return undefined;
  return SECRET_HINT;
}

/** Of a file of signify or minisign, by how many bytes are behind its comment line. */
export function signifyKind(size: number): string {
  return SIGNIFY_SIZES.get(size) ?? "another file of signify or minisign";
}

function pemKind(label: string): string {
  if (label.endsWith("PUBLIC KEY")) return "a public key";
  if (label.endsWith("PRIVATE KEY")) return "a private key";
  return label === "CERTIFICATE" ? "a certificate" : `PEM of ${label}`;
}
