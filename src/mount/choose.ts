/**
 * Which way to mount, with which promise: from what was found about this machine and what the user
 * asks for. Never less than what was required.
 *
 * | mode | how | promise |
 * | --- | --- | --- |
 * | kernel | EROFS and overlay `verity=require`, fs-verity on the objects | block |
 * | hybrid | EROFS and overlay over objects served by FUSE | block |
 * | fuse | the whole tree served by FUSE | block |
 * | kernel without fs-verity | EROFS and overlay | metadata |
 *
 * @module
 */
import { SystemError } from "../errors.ts";
import type { TransportName } from "../fuse/transport.ts";
import type { Finding } from "./finding.ts";
import type { Findings } from "./probe.ts";

export type Mode = "kernel" | "hybrid" | "fuse";

/**
 * What a mount promises about file content. `block`: every 4 KiB that is read matches the digest in
 * the signed image. `open`: each file matched when it was opened. `metadata`: names, modes and all
 * else but the content of files.
 */
export type Assurance = "block" | "open" | "metadata";

const rank: Readonly<Record<Assurance, number>> = { metadata: 0, open: 1, block: 2 };

/** One way to mount on this machine. */
export interface ModeOption {
  readonly mode: Mode;
  /** How FUSE is spoken, where it is. */
  readonly transport?: TransportName;
  readonly promise: Assurance;
  /** Why it is not possible; empty when it is. */
  readonly missing: readonly string[];
  /** What could be done about that. */
  readonly hints: readonly string[];
}

/** What the user asks for. */
export interface Wanted {
  readonly mode: Mode | "auto";
  /** The least promise. */
  readonly require: Assurance;
  readonly transport?: TransportName | "auto";
  /** Changes are to be possible, in directories of their own. */
  readonly writable?: boolean;
}

/** The ways that there are, strongest and fastest first, each possible or not. */
export function modeOptions(findings: Findings): ModeOption[] {
  const { privileged, image, overlay, enforcement } = findings;
  const { verity, fuseDevice, fuseMount, fusermount, libfuse } = findings;
  const stack = [privileged, image, overlay];
  const helper = privileged.ok ? [] : [fusermount];
  return [
    option("kernel", "block", [...stack, verity, enforcement]),
    option("hybrid", "block", [...stack, fuseDevice, fuseMount], "dev"),
    option("fuse", "block", [privileged, fuseDevice, fuseMount], "dev"),
    option("fuse", "block", [fuseDevice, libfuse, ...helper], "libfuse"),
    option("kernel", "metadata", stack),
  ];
}

function option(
  mode: Mode,
  promise: Assurance,
  needs: readonly Finding[],
  transport?: TransportName,
): ModeOption {
  const failed = needs.filter((need) => !need.ok);
  return {
    mode,
    promise,
    missing: [...new Set(failed.map(({ reason }) => reason))],
    hints: [...new Set(failed.flatMap(({ hint }) => (hint === undefined ? [] : [hint])))],
    ...(transport === undefined ? {} : { transport }),
  };
}

/**
 * The strongest of the ways that the user lets.
 *
 * @throws {@link SystemError} `NO_MODE` with what is missing for each, when none reaches what is
 *   required
 */
export function chooseMode(options: readonly ModeOption[], wanted: Wanted): ModeOption {
  const { mode, require, transport = "auto", writable = false } = wanted;
  const able = writable ? options.map(withChanges) : options;
  const allowed = able.filter(
    (each) =>
      (mode === "auto" || each.mode === mode) &&
      (transport === "auto" || each.transport === undefined || each.transport === transport),
  );
  const enough = allowed.filter(({ promise }) => rank[promise] >= rank[require]);
  const chosen = enough.find(({ missing }) => missing.length === 0);
  if (chosen !== undefined) return chosen;
  const reasons = enough.map((each) => `${describeOption(each)}: ${each.missing.join(", ")}`);
  const weaker = allowed.find(({ missing }) => missing.length === 0);
  const hints = [...new Set(enough.flatMap((each) => each.hints))];
  if (weaker !== undefined) {
    hints.push(`--require=${weaker.promise} lets ${weaker.mode} mount with that promise only`);
  }
  throw new SystemError(
    "NO_MODE",
    `mount: no ${mode === "auto" ? "way" : `${mode} mode`} here that promises ${require}` +
      (reasons.length === 0 ? "" : `: ${reasons.join("; ")}`),
    hints.length === 0 ? {} : { hint: hints.join("; ") },
  );
}

function withChanges(option: ModeOption): ModeOption {
  if (option.mode !== "fuse") return option;
  return without(option, "an upper directory needs the kernel's overlay");
}

/** The same way, which turned out not to be possible. */
export function without(option: ModeOption, reason: string): ModeOption {
  return { ...option, missing: [...option.missing, reason] };
}

/** Such as `fuse (libfuse)`. */
export function describeOption({ mode, transport }: ModeOption): string {
  return transport === undefined ? mode : `${mode} (${transport})`;
}
