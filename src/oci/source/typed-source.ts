/**
 * What `SOURCE` means as it was typed: where a path leads nowhere and reads as an image in a registry,
 * it is one, as for podman and docker.
 *
 * @module
 */
import { lstatSync } from "node:fs";
import { SealfsError } from "../../errors.ts";
import { type SourceReference, parseSource } from "../reference.ts";
import { parseRegistryReference, startsWithHost } from "../registry-reference.ts";

/**
 * As {@link parseSource}; `HOST/REPOSITORY:TAG` and `HOST/REPOSITORY@DIGEST` are `docker://…`, unless a
 * file or folder has that name.
 *
 * @throws {@link UsageError}
 */
export function readSource(text: string): SourceReference {
  const reference = parseSource(text);
  if (reference.transport !== "path" || isThere(reference.path)) return reference;
  return registryMeant(reference.path) ?? reference;
}

function registryMeant(text: string): SourceReference | undefined {
  // A mistyped path has seldom either of these behind its last slash.
  if (!startsWithHost(text) || !/[:@][^/]*$/.test(text)) return undefined;
  try {
    return parseRegistryReference(`docker://${text}`);
  } catch (error) {
    if (error instanceof SealfsError) return undefined;
    throw error;
  }
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true; // opening it says why
  }
}
