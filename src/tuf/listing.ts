/**
 * Which bundle of a name is the current one, from a TUF repository whose targets are bundles:
 * `NAME.bundle.json`, or for several signers `NAME.dsse.json`. What it lists is verified like any
 * other bundle; what the repository adds is that nobody can hide a newer bundle for longer than its
 * timestamp is valid.
 *
 * Spec: docs/policy.md, "TUF listing".
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TrustError, UsageError } from "../errors.ts";
import { sha256Of } from "../sys/sha256.ts";
import type { TrustState } from "../verify/trust-state.ts";
import { readUserFile } from "../fs/user-file.ts";
import { limits } from "../limits.ts";
import type { Listing } from "../trust/policy.ts";
import { type TufPlace, openPlace } from "./place.ts";
import { checkMetadata } from "./metadata.ts";

/** The user's options. */
export interface ListingRequest {
  /** A folder or URL. */
  readonly tuf?: string | undefined;
  /** The file of the root metadata to begin with. */
  readonly tufRoot?: string | undefined;
}

/**
 * Opens the listing that the user named; undefined without one. What is remembered of a repository
 * is filed under its first root, not its address, so that a mirror cannot start over.
 *
 * @throws {@link UsageError} for one of the two without the other; {@link TrustError} `BAD_TUF`
 */
export function openListing(
  { tuf, tufRoot }: ListingRequest,
  state: TrustState | undefined,
  now: Date,
): Listing | undefined {
  if (tuf === undefined && tufRoot === undefined) return undefined;
  if (tuf === undefined || tufRoot === undefined) {
    throw new UsageError("USAGE", "--tuf and --tuf-root: expected both or neither", {
      hint: "the root is the file root.json that the maintainers of the repository gave you",
    });
  }
  const root = readUserFile(tufRoot, limits.tufRootBytes, `TUF root ${tufRoot}`);
  checkMetadata(root, `TUF root ${tufRoot}`);
  return new TufListing(openPlace(tuf), root, state, now);
}

class TufListing implements Listing {
  readonly text: string;
  readonly #place: TufPlace;
  readonly #root: Uint8Array;
  readonly #state: TrustState | undefined;
  readonly #now: Date;

  constructor(place: TufPlace, root: Uint8Array, state: TrustState | undefined, now: Date) {
    this.text = place.text;
    this.#place = place;
    this.#root = root;
    this.#state = state;
    this.#now = now;
  }

  async bundlesOf(name: string): Promise<Uint8Array[]> {
    const paths = targetPaths(name);
    // Loaded only where a repository is asked.
    const { updateRepository } = await import("./update.ts");
    const temporary =
      this.#state === undefined ? mkdtempSync(join(tmpdir(), "sealfs-")) : undefined;
    const folder = temporary ?? join(this.#state!.path, "tuf", sha256Of(this.#root));
    try {
      const repository = { place: this.#place, folder, root: this.#root };
      const bundles = await updateRepository(repository, this.#now, async (updated) => {
        const found: Uint8Array[] = [];
        for (const path of paths) {
          const bytes = await updated.target(path);
          if (bytes !== undefined) found.push(bytes);
        }
        return found;
      });
      if (bundles.length > 0) return bundles;
      throw new TrustError(
        "NOT_LISTED",
        `TUF repository ${this.text}: lists no bundle of ${name}`,
        {
          hint: `its target would be ${paths[0]}`,
        },
      );
    } finally {
      await this.#place.close();
      if (temporary !== undefined) rmSync(temporary, { recursive: true });
    }
  }
}

/**
 * Target paths become parts of file names and URLs, so nothing in them may have a second reading.
 */
const PLAIN_PATH = /^(?!.*(?:^|\/)\.{0,2}(?:\/|$))[A-Za-z0-9._:@+~/-]+$/;

/** @throws {@link UsageError} for a name that cannot be part of a path unchanged */
export function targetPaths(name: string): [string, string] {
  if (PLAIN_PATH.test(name)) return [`${name}.bundle.json`, `${name}.dsse.json`];
  throw new UsageError(
    "USAGE",
    `name ${JSON.stringify(name)}: cannot be a path in a TUF repository`,
  );
}
