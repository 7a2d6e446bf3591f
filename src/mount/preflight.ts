/**
 * A report for people: what was tried on this machine, and which ways to mount follow from it.
 *
 * @module
 */
import { statSync } from "node:fs";
import { release } from "node:os";
import { resolve } from "node:path";
import { NotFoundError } from "../errors.ts";
import { type ModeOption, modeOptions } from "./choose.ts";
import { type Findings, probe } from "./probe/probe.ts";

/** Everything that `sealfs preflight` reports. */
export interface Preflight {
  /** The directory that was tried, absolute. */
  readonly store: string;
  /** For bug reports; nothing is concluded from it. */
  readonly kernel: string;
  readonly modes: readonly (ModeOption & { readonly possible: boolean })[];
  readonly findings: Findings;
}

/**
 * Tries everything for mounts with objects in `store`.
 *
 * @throws {@link NotFoundError} `NO_STORE` when there is no such directory
 */
export function preflight(store: string): Preflight {
  const path = resolve(store);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new NotFoundError("NO_STORE", `${path}: no store there`);
  }
  const findings = probe(path);
  const modes = modeOptions(findings).map((option) => ({
    ...option,
    possible: option.missing.length === 0,
  }));
  return { store: path, kernel: release(), modes, findings };
}
