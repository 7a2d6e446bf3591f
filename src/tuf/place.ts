/**
 * Where a TUF repository is: a folder, or a URL. Under either lie `metadata/` and `targets/`. Nothing
 * that comes from there is believed, and nothing is read beyond what was asked for.
 *
 * @module
 */
import { join } from "node:path";
import { NotFoundError, TransportError, UsageError } from "../errors.ts";
import { readRegular } from "../store/files.ts";

/** A place that has the files of a repository, or says so. */
export interface TufPlace {
  /** As the user named it, for messages. */
  readonly text: string;
  /**
   * The bytes of a file, such as `metadata/2.root.json`.
   *
   * @throws {@link NotFoundError} `NO_FILE` when the place says that it has none
   * @throws {@link TransportError} when it cannot be reached, and for more than `max` bytes
   */
  read(path: string, max: number): Promise<Uint8Array>;
}

/** @throws {@link UsageError} for a URL that is none */
export function openPlace(text: string): TufPlace {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? urlPlace(text) : folderPlace(text);
}

function folderPlace(folder: string): TufPlace {
  return {
    text: folder,
    // Role names stand encoded in a URL, and in the name of a file.
    read: async (path, max) => readRegular(join(folder, path), max, `${folder}: ${path}`),
  };
}

/** Metadata and bundles are small: one deadline for all of a file is enough. */
const DEADLINE_MS = 30_000;

function urlPlace(text: string): TufPlace {
  const base = URL.canParse(text) ? new URL(text) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol) || base.search + base.hash !== "") {
    throw new UsageError("USAGE", `--tuf: expected a folder or an http(s) URL, got ${text}`);
  }
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return { text, read: (path, max) => get(new URL(path, base), max) };
}

async function get(url: URL, max: number): Promise<Uint8Array> {
  const what = `${url.origin}${url.pathname}`;
  try {
    const response = await fetch(url, {
      headers: { "accept-encoding": "identity" },
      redirect: "error",
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    if (response.status === 404 || response.status === 403 || response.status === 410) {
      throw new NotFoundError("NO_FILE", `${what}: not there (status ${response.status})`);
    }
    if (response.status !== 200 || response.body === null) {
      throw new TransportError("REFUSED", `${what}: status ${response.status}`);
    }
    if ((response.headers.get("content-encoding") ?? "identity") !== "identity") {
      throw new TransportError("REFUSED", `${what}: an encoding that was not asked for`);
    }
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of response.body) {
      size += chunk.length;
      // Leaving the loop closes the connection.
      if (size > max) throw tooLong(what, max);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (cause) {
    if (cause instanceof TransportError || cause instanceof NotFoundError) throw cause;
    const error = cause as Error;
    if (error.name === "TimeoutError") {
      throw new TransportError("TIMEOUT", `${what}: not within ${DEADLINE_MS / 1000} s`, { cause });
    }
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    throw new TransportError("UNREACHABLE", `${what}: ${why}`, { cause });
  }
}

/** What sends more than it may. */
export function tooLong(what: string, max: number): TransportError {
  return new TransportError("REFUSED", `${what}: expected at most ${max} bytes, got more`);
}
