/**
 * Which way to mount, with which promise: from what was found about this machine and what the user
 * asks for. Never less than what was required.
 *
 * | mode | how | promise |
 * | --- | --- | --- |
 * | kernel | EROFS and overlay `verity=require`, fs-verity on the objects | block |
 * | hybrid | EROFS and overlay over objects served by FUSE | block |
 * | fuse | the whole tree served by FUSE | block |
 * | hybrid, fuse with passthrough | the same, the kernel reads the objects itself | open |
 * | kernel without fs-verity | EROFS and overlay | metadata |
 *
 * Spec: docs/threat-model.md, "Promises of a mount".
 *
 * @module
 */
import { SystemError } from "../errors.ts";
import type { TransportName } from "../fuse/transport.ts";
import { type Finding, type Lack, lacksOf } from "./probe/finding.ts";
import type { Findings } from "./probe/probe.ts";
import type { MountPromise, Mode } from "./table/modes.ts";

const rank: Readonly<Record<MountPromise, number>> = { metadata: 0, open: 1, block: 2 };

/** One way to mount on this machine. */
export interface ModeOption {
  readonly mode: Mode;
  /** How FUSE is spoken, where it is. */
  readonly transport?: TransportName;
  /** The kernel reads objects by itself once they are open. */
  readonly passthrough?: true;
  readonly promise: MountPromise;
  /** Why it is not possible; empty when it is. */
  readonly missing: readonly Lack[];
}

/** What the user asks for. */
export interface Wanted {
  readonly mode: Mode | "auto";
  /** The least promise. */
  readonly require: MountPromise;
  readonly transport?: TransportName | "auto";
  /** Changes are to be possible, in directories of their own. */
  readonly writable?: boolean;
  /** Objects are to be checked when they are opened, and then read by the kernel itself. */
  readonly passthrough?: boolean;
  /** Owners are to be shown as other users. */
  readonly idmapped?: boolean;
}

/** The ways that there are, strongest and fastest first, each possible or not. */
export function modeOptions(findings: Findings): ModeOption[] {
  const { koffi, privileged, image, overlay, verity, enforcement } = findings;
  const { fuseDevice, fuseMount, fusermount, libfuse, passthrough, passthroughBelow } = findings;
  const stack = [privileged, image, overlay];
  const device = [fuseDevice, fuseMount];
  const helper = privileged.ok ? [] : [fusermount];
  const through = { transport: "dev", passthrough: true } as const;
  return [
    option("kernel", "block", [...stack, verity, enforcement]),
    option("hybrid", "block", [...stack, ...device], { transport: "dev" }),
    option("fuse", "block", [privileged, ...device], { transport: "dev" }),
    option("fuse", "block", [koffi, fuseDevice, fusermount], { transport: "fusermount" }),
    option("fuse", "block", [fuseDevice, libfuse, ...helper], { transport: "libfuse" }),
    option("hybrid", "open", [...stack, ...device, passthroughBelow], through),
    option("fuse", "open", [privileged, ...device, passthrough], through),
    option("kernel", "metadata", stack),
  ];
}

function option(
  mode: Mode,
  promise: MountPromise,
  needs: readonly Finding[],
  how: Pick<ModeOption, "transport" | "passthrough"> = {},
): ModeOption {
  return { mode, promise, missing: lacksOf(needs), ...how };
}

/**
 * The strongest of the ways that the user allows.
 *
 * @throws {@link SystemError} `NO_MODE` with what is missing for each, when none reaches what is
 *   required
 */
export function chooseMode(options: readonly ModeOption[], wanted: Wanted): ModeOption {
  const { mode, require, transport = "auto", passthrough = false } = wanted;
  const able = options.map((each) => forWishes(each, wanted));
  const allowed = able.filter(
    (each) =>
      (mode === "auto" || each.mode === mode) &&
      (each.passthrough ?? false) === passthrough &&
      (transport === "auto" || each.transport === undefined || each.transport === transport),
  );
  const enough = allowed.filter(({ promise }) => rank[promise] >= rank[require]);
  const chosen = enough.find(({ missing }) => missing.length === 0);
  if (chosen !== undefined) return chosen;
  const reasons = enough.map((each) => `${describeOption(each)}: ${reasonsOf(each).join(", ")}`);
  const weaker = allowed.find(({ missing }) => missing.length === 0);
  const hints = hintsOf(enough);
  if (weaker !== undefined) {
    hints.push(`--require=${weaker.promise} lets ${weaker.mode} mount with that promise only`);
  }
  const what = [
    ...(mode === "auto" ? ["way"] : [`${mode} mode`]),
    "here",
    ...(passthrough ? ["with passthrough"] : []),
  ];
  throw new SystemError(
    "NO_MODE",
    `mount: no ${what.join(" ")} that promises ${require}` +
      (reasons.length === 0 ? "" : `: ${reasons.join("; ")}`),
    hints.length === 0 ? {} : { hint: hints.join("; ") },
  );
}

/** Why an option is not possible, for people. */
function reasonsOf({ missing }: ModeOption): string[] {
  return missing.map(({ reason }) => reason);
}

/** What could be done for the options, each once. */
export function hintsOf(options: readonly ModeOption[]): string[] {
  const hints = options.flatMap(({ missing }) =>
    missing.flatMap(({ hint }) => (hint === undefined ? [] : [hint])),
  );
  return [...new Set(hints)];
}

/** The option with what it cannot do of what is wanted. */
function forWishes(each: ModeOption, { writable, idmapped }: Wanted): ModeOption {
  let result = each;
  if (writable === true && each.mode === "fuse") {
    const reason = "an upper directory needs the kernel's overlay";
    result = without(result, { code: "NO_OVERLAY", reason });
  }
  if (idmapped === true && (each.transport ?? "dev") !== "dev") {
    const reason = `${each.transport} mounts cannot show other owners`;
    result = without(result, { code: "NO_IDMAP", reason });
  }
  return result;
}

/** The same way, which turned out not to be possible. */
export function without(option: ModeOption, lack: Lack): ModeOption {
  return { ...option, missing: [...option.missing, lack] };
}

/** Such as `fuse (libfuse)`. */
export function describeOption({ mode, transport, passthrough }: ModeOption): string {
  if (transport === undefined) return mode;
  return `${mode} (${transport}${passthrough === true ? ", passthrough" : ""})`;
}
