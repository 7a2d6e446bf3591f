/**
 * What a build made, for people and for programs.
 *
 * @module
 */
import { join } from "node:path";
import type { BuildResult } from "../../build/build-options.ts";
import { formatPlatform } from "../../platform/platform.ts";
import type { SignedImage } from "../../sign/sign-image.ts";
import { bundlePath } from "../../store/bundles.ts";
import { seekIndexPath } from "../../store/seek-indexes.ts";
import { formatTime } from "../../trust/time.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";

/** The signatures of one image, and what clients may object to. */
export interface Signing {
  readonly signed: readonly SignedImage[];
  readonly warnings: readonly string[];
}

/** An image that was built, and signed where `signing` is there. */
export interface Built {
  readonly result: BuildResult;
  readonly signing: Signing | undefined;
}

interface Place {
  /** The store's directory. */
  readonly store: string;
  readonly name?: string | undefined;
}

/**
 * The document of `--json`: of one image, or of several in `images`.
 *
 * Spec: docs/command-line.md, "What build prints".
 */
export function buildDocument(all: readonly Built[], place: Place): object {
  const documents = all.map((built) => imageDocument(built, place));
  return documents.length === 1 ? documents[0]! : { images: documents };
}

function imageDocument({ result, signing }: Built, { store, name }: Place): object {
  const { bytes: _, platform, seekIndex, warnings, ...facts } = result;
  const { digest } = result;
  const indexed = seekIndex && {
    ...seekIndex,
    path: join(store, seekIndexPath(digest, seekIndex)),
  };
  return {
    ...facts,
    platform: platform ? formatPlatform(platform) : null,
    name: name ?? null,
    store,
    seekIndex: indexed ?? null,
    signature: signatureOf(signing, store),
    warnings: [...warnings, ...(signing?.warnings ?? [])],
  };
}

/** What all signatures say together; null for an image that was not signed. */
function signatureOf(signing: Signing | undefined, store: string): object | null {
  const [first] = signing?.signed ?? [];
  if (signing === undefined || first === undefined) return null;
  const { version, created, expires, sha256 } = first.statement;
  return {
    keyIds: signing.signed.map(({ keyId }) => keyId),
    version,
    created: formatTime(created),
    expires: formatTime(expires),
    sha256,
    bundles: signing.signed.map(({ keyId, statement }) => ({
      keyId,
      path: join(store, bundlePath(statement.verityDigest, keyId, statement)),
    })),
  };
}

/** Prints the digests, and logs what became of the objects. */
export function printBuild(results: readonly BuildResult[], io: Io): void {
  const isOne = results.length === 1;
  for (const { objects, size, platform } of results) {
    const what = isOne || platform === undefined ? "" : `${formatPlatform(platform)}: `;
    const news = isOne ? `; ${objects.new} new in the store` : "";
    io.log(
      `${what}${counted(objects.count, "object")} of ${formatBytes(objects.bytes)} and an image of ` +
        `${formatBytes(size)}${news}`,
    );
  }
  const { objects } = results[0]!;
  if (!isOne) io.log(`${objects.new} new in the store`);
  if (objects.replaced > 0) {
    const damaged = counted(objects.replaced, "damaged object");
    io.log(`${damaged} of the store replaced; see its quarantine/`);
  }
  for (const { profile, digest, refused } of results.flatMap(({ profiles }) => profiles)) {
    io.log(`${profile}: ${digest ?? `refused: ${refused}`}`);
  }
  for (const { digest, platform } of results) {
    io.print(isOne || platform === undefined ? digest : `${digest}  ${formatPlatform(platform)}`);
  }
}
