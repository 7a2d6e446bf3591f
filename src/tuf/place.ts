/**
 * Where a TUF repository is: a folder, or a URL. Either has `metadata/` and `targets/`. Nothing
 * read from there is trusted, and nothing is read beyond what was asked for.
 *
 * @module
 */
import { join } from "node:path";
import { NotFoundError, NetworkError, UsageError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import { redact } from "../http/redact.ts";
import { readRegular } from "../fs/regular-file.ts";

/** Where the files of a repository are read from. */
export interface TufPlace {
  /** As the user named it, for messages. */
  readonly text: string;
  /**
   * The bytes of a file, such as `metadata/2.root.json`.
   *
   * @throws {@link NotFoundError} `NO_FILE` when the place does not have it
   * @throws {@link NetworkError} when it cannot be reached, and for more
   *   than `max` bytes
   */
  read(path: string, max: number): Promise<Uint8Array>;
  /** Ends connections; the next reading makes new ones. */
  close(): Promise<void>;
}

/** @throws {@link UsageError} for a URL of another kind */
export function openPlace(text: string): TufPlace {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? urlPlace(text) : folderPlace(text);
}

function folderPlace(folder: string): TufPlace {
  return {
    text: folder,
    // Role names are percent-encoded in file names just as in URLs.
    read: async (path, max) => readRegular(join(folder, path), max, `${folder}: ${path}`),
    close: async () => {},
  };
}

/** Metadata and bundles are small: one deadline for a whole file is enough. */
const DEADLINE_MS = 30_000;
/** Statuses by which servers say that they have no such file. */
const ABSENT = new Set([403, 404, 410]);

function urlPlace(text: string): TufPlace {
  const base = URL.canParse(text) ? new URL(text) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol) || base.search + base.hash !== "") {
    throw new UsageError("USAGE", `--tuf: expected a folder or an http(s) URL, got ${text}`);
  }
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  let client: HttpClient | undefined;
  return {
    text: redact(base),
    read: async (path, max) => {
      // Loaded only where the repository is a URL.
      const http = await import("../http/client.ts");
      client ??= new http.HttpClient();
      return get(client, new URL(path, base), max);
    },
    close: async () => {
      await client?.close();
      client = undefined;
    },
  };
}

async function get(client: HttpClient, url: URL, max: number): Promise<Uint8Array> {
  const what = redact(url);
  const response = await client.send("GET", url, { maxBytes: max, deadlineMs: DEADLINE_MS });
  const { status } = response;
  if (status === 200) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
  await response.discard();
  if (ABSENT.has(status)) throw new NotFoundError("NO_FILE", `${what}: not there (${status})`);
  throw new NetworkError("STATUS", `${what}: status ${status}`);
}

/** The error for a source that sends more than it may. */
export function tooLong(what: string, max: number): NetworkError {
  return new NetworkError("WRONG_SIZE", `${what}: expected at most ${max} bytes, got more`);
}
