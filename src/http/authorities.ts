/**
 * The certification authorities that this machine trusts: those of the system, found as OpenSSL, Go
 * and curl find them, and what `NODE_EXTRA_CA_CERTS` adds. The ones that Node was compiled with
 * stand in where the system has none.
 *
 * @module
 */
import { X509Certificate } from "node:crypto";
import { readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { rootCertificates } from "node:tls";
import { FormatError, NotFoundError, SealfsError } from "../errors.ts";
import { isUserFile, readUserFile } from "../fs/user-file.ts";
import { limits } from "../limits.ts";
import type { Environment } from "./proxies.ts";

/** Bundles of Debian, Fedora, openSUSE, RHEL and Alpine: the first that there is counts. */
const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Directories of single certificates. */
const DIRECTORIES = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/**
 * Certificates in PEM. `SSL_CERT_FILE` is read in place of the bundles, and `SSL_CERT_DIR` in place
 * of the directories; what cannot be read adds nothing.
 */
export function systemAuthorities(environment: Environment): readonly string[] {
  const { SSL_CERT_FILE: file, SSL_CERT_DIR: directories } = environment;
  const found = new Set<string>();
  const addFile = (path: string): boolean => {
    const blocks = readQuietly(path);
    for (const block of blocks) found.add(block);
    return blocks.length > 0;
  };
  (file ? [file] : BUNDLES).some(addFile);
  for (const directory of directories ? directories.split(delimiter) : DIRECTORIES) {
    for (const name of certificateNames(directory)) addFile(join(directory, name));
  }
  // What the user has named is all that counts, even if nothing is there.
  if (found.size === 0 && !file && !directories) {
    for (const certificate of rootCertificates) found.add(certificate);
  }
  const { NODE_EXTRA_CA_CERTS: extra } = environment;
  if (extra) addFile(extra);
  return [...found];
}

/** All but links that lead to another name in the same directory (those by OpenSSL's hash). */
function certificateNames(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() || /^[0-9a-f]{8}\.\d+$/.test(entry.name) ? [] : [entry.name],
    );
  } catch {
    return [];
  }
}

function readQuietly(path: string): readonly string[] {
  try {
    if (!isUserFile(path)) return [];
    return pemBlocks(readUserFile(path, limits.certificatesBytes, path));
  } catch {
    return [];
  }
}

const BLOCK =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

function pemBlocks(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  return (text.match(BLOCK) ?? []).map((block) => block.replace(/\r/g, ""));
}

/**
 * The certificates of a file that the user has named: PEM, or one in DER. `what` names the file.
 *
 * @throws {@link NotFoundError} `NO_FILE`; {@link FormatError} `MALFORMED` or `LIMIT`
 */
export function readAuthorities(path: string, what: string): readonly string[] {
  let bytes: Uint8Array;
  try {
    bytes = readUserFile(path, limits.certificatesBytes, what);
  } catch (cause) {
    if (cause instanceof SealfsError && !(cause instanceof NotFoundError)) throw cause;
    throw new NotFoundError("NO_FILE", `${what}: cannot be read`, { cause });
  }
  const blocks = pemBlocks(bytes);
  const candidates = blocks.length === 0 ? [bytes] : blocks;
  try {
    return candidates.map((candidate) => new X509Certificate(candidate).toString());
  } catch (cause) {
    const found = blocks.length === 0 ? "none" : "one that cannot be read";
    throw new FormatError("MALFORMED", `${what}: expected certificates in PEM, got ${found}`, {
      cause,
    });
  }
}
