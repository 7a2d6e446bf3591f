/**
 * Certificates for single servers, where docker and podman look for them: the first directory that
 * there is of `~/.config/containers/certs.d/HOST`, `/etc/containers/certs.d/HOST` and
 * `/etc/docker/certs.d/HOST`, HOST with its port. Each `*.crt` is an authority's; each `*.cert` is a
 * certificate of ours, whose key is the `*.key` of the same name.
 *
 * Spec: containers-certs.d(5).
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { homeDirectory } from "../fs/home.ts";
import { FormatError, NotFoundError } from "../errors.ts";
import { errnoOf } from "../fs/failure.ts";
import { readUserFile } from "../fs/user-file.ts";
import { limits } from "../limits.ts";
import { readAuthorities } from "./authorities.ts";
import type { Environment } from "./proxies.ts";

/** What is kept for one server. */
export interface HostCertificates {
  readonly directory: string;
  /** Authorities, in PEM. */
  readonly authorities: readonly string[];
  /** What we show to the server, with its key. */
  readonly own: readonly { readonly cert: Buffer; readonly key: Buffer }[];
}

/**
 * The certificates for the first of `hosts`, spellings of one server, that there are any for.
 *
 * @throws {@link NotFoundError} `NO_FILE` for a file that is missing or cannot be read
 * @throws {@link FormatError} for an authority's file that is not a certificate; `LIMIT`
 */
export function findHostCertificates(
  hosts: readonly string[],
  environment: Environment,
): HostCertificates | undefined {
  for (const host of hosts) {
    for (const place of places(environment)) {
      const directory = join(place, host);
      const names = namesIn(directory);
      if (names !== undefined) return readCertificates(directory, names);
    }
  }
  return undefined;
}

function places(environment: Environment): string[] {
  const home = homeDirectory(environment);
  return [
    join(home, ".config/containers/certs.d"),
    "/etc/containers/certs.d",
    "/etc/docker/certs.d",
  ];
}

/** Undefined for what is no directory, or may not be read. */
function namesIn(directory: string): string[] | undefined {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(errnoOf(error) ?? "")) return undefined;
    throw new NotFoundError("NO_FILE", `${directory}: cannot be read`, { cause: error });
  }
}

function readCertificates(directory: string, names: readonly string[]): HostCertificates {
  const paths = (suffix: string) =>
    names.filter((name) => name.endsWith(suffix)).map((name) => join(directory, name));
  for (const key of paths(".key")) verifyPair(names, directory, key, ".key", ".cert");
  return {
    directory,
    authorities: paths(".crt").flatMap((path) => readAuthorities(path, path)),
    own: paths(".cert").map((path) => {
      verifyPair(names, directory, path, ".cert", ".key");
      return { cert: read(path), key: read(path.replace(/\.cert$/, ".key")) };
    }),
  };
}

function verifyPair(
  names: readonly string[],
  directory: string,
  path: string,
  suffix: string,
  other: string,
): void {
  const wanted = `${path.slice(directory.length + 1, -suffix.length)}${other}`;
  if (names.includes(wanted)) return;
  throw new NotFoundError("NO_FILE", `${path}: expected ${wanted} beside it, got none`, {
    hint: "a client certificate NAME.cert has its key in NAME.key; authorities' end in .crt",
  });
}

function read(path: string): Buffer {
  try {
    return Buffer.from(readUserFile(path, limits.certificatesBytes, path));
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new NotFoundError("NO_FILE", `${path}: cannot be read`, { cause });
  }
}
