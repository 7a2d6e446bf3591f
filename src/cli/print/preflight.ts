/**
 * What `sealfs preflight` prints.
 *
 * @module
 */
import { describeOption, hintsOf } from "../../mount/choose.ts";
import type { Preflight } from "../../mount/preflight.ts";
import type { Finding } from "../../mount/probe/finding.ts";
import type { Findings } from "../../mount/probe/probe.ts";
import { tableLines } from "../terminal/table.ts";

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
    ...tableLines([
      ["MODE", "PROMISE", "HERE"],
      ...modes.map((mode) => [
        describeOption(mode),
        mode.promise,
        mode.possible ? "yes" : `no: ${mode.missing[0]!.reason}`,
      ]),
    ]),
    "",
    ...tableLines([
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
