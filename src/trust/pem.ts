/**
 * Strict PEM: a file is exactly one block. Comment lines that start with `#` may come before it.
 *
 * Spec: RFC 7468, section 3.
 *
 * @module
 */
import { decodeBase64, encodeBase64 } from "./base64.ts";

/** A PEM block: its label and its bytes. */
export interface Pem {
  readonly label: string;
  readonly bytes: Uint8Array;
}

const BLOCK =
  /^(?:#[^\r\n]*\r?\n)*-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n([A-Za-z0-9+/=\r\n]*?)\r?\n-----END \1-----\s*$/;

/** The block in `text`; undefined when `text` is not exactly one block. */
export function parsePem(text: string): Pem | undefined {
  const match = BLOCK.exec(text);
  if (match === null) return undefined;
  const bytes = decodeBase64(match[2]!.replace(/\r?\n/g, ""));
  return bytes && { label: match[1]!, bytes };
}

/** A block with lines of 64 characters. */
export function formatPem(label: string, bytes: Uint8Array): string {
  const lines = encodeBase64(bytes).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
