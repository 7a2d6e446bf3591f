/**
 * A report for people: what was tried on this machine, and which ways to mount follow from it.
 *
 * @module
 */
import { statSync } from "node:fs";
import { release } from "node:os";
import { resolve } from "node:path";
import { NotFoundError } from "../errors.ts";
import { type ModeOption, describeOption, hintsOf, modeOptions } from "./choose.ts";
import type { Finding } from "./probe/finding.ts";
import { type Findings, probe } from "./probe/probe.ts";

/** Everything that `sealfs preflight` tells. */
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

const labels: Readonly<Record<keyof Findings, string>> = {
  koffi: "koffi",
  privileged: "right to mount",
  image: "sealed image, EROFS",
  overlay: "overlay with data-only layers",
  verity: "fs-verity where the objects are",
  enforcement: "overlay refuses content without its digest",
  fuseDevice: "/dev/fuse",
  fuseMount: "FUSE mount",
  fusermount: "fusermount3",
  libfuse: "fuse-native and libfuse",
  passthrough: "FUSE passthrough to the objects",
  passthroughBelow: "the same below an overlay",
  idmap: "owners shown as other users",
  userNamespaces: "user namespace with /dev/fuse",
};

/** The report as lines of text: two tables. */
export function preflightLines({ kernel, store, modes, findings }: Preflight): string[] {
  const tried = Object.entries(labels) as [keyof Findings, string][];
  const hints = hintsOf(modes);
  return [
    `Linux ${kernel}, objects in ${store}`,
    "",
    ...table([
      ["MODE", "PROMISE", "HERE"],
      ...modes.map((mode) => [
        describeOption(mode),
        mode.promise,
        mode.possible ? "yes" : `no: ${mode.missing[0]!.reason}`,
      ]),
    ]),
    "",
    ...table([
      ["TRIED", "RESULT"],
      ...tried.map(([key, label]) => [label, describeFinding(findings[key])]),
    ]),
    ...(hints.length === 0 ? [] : ["", ...hints.map((hint) => `- ${hint}`)]),
  ];
}

function describeFinding(finding: Finding): string {
  if (!finding.ok) return finding.reason;
  return finding.detail === undefined ? "yes" : `yes (${finding.detail})`;
}

/** Columns as wide as their widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}
