/**
 * What `sealfs status` prints: one line for each mount, or all about one.
 *
 * @module
 */
import { fromText, printable } from "../../bytes/bytestring.ts";
import { type CounterValues, latencyBounds } from "../../fuse/counters.ts";
import type { PrefetchStatus } from "../../fuse/prefetch/prefetch-input.ts";
import type { ContentFigures } from "../../mount/content.ts";
import type { LazyStatus } from "../../mount/report/lazy-status.ts";
import type { MountStatus } from "../../mount/status.ts";
import { factLines, tableLines } from "../terminal/table.ts";
import { counted, formatBytes, formatElapsed } from "../terminal/units.ts";

/** The columns of {@link statusTable}. */
export const statusColumns =
  "directory, image, mode, promise, condition, time since it was mounted";

/** One line for each mount. */
export function statusTable(all: readonly MountStatus[]): string[] {
  const rows = all.map((status) => [
    plain(status.target),
    plain(status.name),
    wayOf(status),
    status.promise ?? "-",
    status.condition,
    status.uptimeSeconds === undefined ? "-" : formatElapsed(status.uptimeSeconds),
  ]);
  return tableLines(rows);
}

/** Everything that is known of one mount, a line for each fact. */
export function statusDetails(status: MountStatus): string[] {
  const { image, counters, pid, residentBytes, uptimeSeconds } = status;
  const lines: [string, string][] = [
    ["directory", plain(status.target) + (status.visible ? "" : " (not in this mount namespace)")],
    ["image", plain(status.name)],
    ["condition", conditions[status.condition]],
  ];
  if (status.mode !== undefined) lines.push(["mode", wayOf(status)]);
  if (status.promise !== undefined) lines.push(["promise", status.promise]);
  if (image !== undefined) {
    lines.push(["digest", image.digest], ["signed by", image.signedBy.join(" ")]);
    lines.push(["version", String(image.version)], ["expires", image.expires]);
  }
  if (status.stores !== undefined) lines.push(["stores", status.stores.map(plain).join(" ")]);
  if (status.content !== undefined) lines.push(...contentLines(status.content));
  if (pid !== undefined) {
    const up = uptimeSeconds === undefined ? "" : `, up ${formatElapsed(uptimeSeconds)}`;
    const memory = residentBytes === undefined ? "" : `, ${formatBytes(residentBytes)}`;
    lines.push(["server", `process ${pid}${up}${memory}`]);
  }
  if (counters !== undefined) lines.push(...counterLines(counters));
  else if (status.mode === "kernel") lines.push(["counters", "none: the kernel serves everything"]);
  if (status.prefetch !== undefined) lines.push(["prefetch", prefetchLine(status.prefetch)]);
  if (status.fetch !== undefined) lines.push(...fetchLines(status.fetch));
  if (status.log !== undefined) lines.push(["log", plain(status.log)]);
  return factLines(lines);
}

const conditions: Readonly<Record<MountStatus["condition"], string>> = {
  live: "live",
  expired: "live; its image has EXPIRED: it could not be mounted again",
  silent: "its server does not answer",
  dead: "its server is dead: end it with sealfs umount",
  foreign: "of another user, or from before this run directory",
};

function contentLines(content: ContentFigures): [string, string][] {
  const { files, bytes, objects, objectBytes, missingObjects, missingBytes } = content;
  const there = `${objects - missingObjects} of ${counted(objects, "object")}`;
  const present = formatBytes(objectBytes - missingBytes);
  return [
    ["content", `${counted(files, "file")}, ${formatBytes(bytes)}`],
    ["in stores", `${there}, ${present} of ${formatBytes(objectBytes)}`],
  ];
}

function counterLines({
  requests,
  failures,
  latency,
  ...counters
}: CounterValues): [string, string][] {
  const sum = Object.values(requests).reduce((all, count) => all + count, 0);
  const failed = Object.entries(failures).filter(([, count]) => count > 0);
  const { readBytes, verifiedBlocks, hashedBytes, objectOpens } = counters;
  return [
    ["requests", `${sum}, ${requests["READ"] ?? 0} of them reads of ${formatBytes(readBytes)}`],
    ["checked", `${counted(verifiedBlocks, "block")}; ${formatBytes(hashedBytes)} hashed for leaves; ${counted(objectOpens, "object")} opened`], // prettier-ignore
    ["latency", `reads ${quantiles(latency.read.buckets)}; others ${quantiles(latency.metadata.buckets)}`], // prettier-ignore
    ["failures", failed.length === 0 ? "none" : failed.map((each) => each.join(" ")).join(", ")],
  ];
}

function prefetchLine({ state, objects, bytes, ...done }: PrefetchStatus): string {
  const failed = done.failed === 0 ? "" : `, ${done.failed} failed`;
  const absent = done.absent === 0 ? "" : `, ${done.absent} of the list not in the image`;
  const read = `${done.doneObjects} of ${counted(objects, "object")}`;
  return `${state}: ${read}, ${formatBytes(done.doneBytes)} of ${formatBytes(bytes)}${failed}${absent}`;
}

function fetchLines({ bytes, objects, sources, background }: LazyStatus): [string, string][] {
  const lines: [string, string][] = [
    ["fetched", `${counted(objects, "object")}, ${formatBytes(bytes)}`],
  ];
  for (const { name, good, bytes: given, faults, lastFault, coolingMs } of sources) {
    const failed = Object.values(faults).reduce((all, count) => all + count, 0);
    const rest = coolingMs > 0 ? `; set aside for ${Math.ceil(coolingMs / 1000)} s` : "";
    const last = lastFault === undefined ? "" : `; last: ${plain(lastFault)}`;
    lines.push(["source", `${plain(name)}: ${formatBytes(given)}, ${good} good, ${failed} failed${rest}${last}`]); // prettier-ignore
  }
  if (background === undefined) return lines;
  const { state, fetched, objects: all, reason } = background;
  const why = reason === undefined ? "" : `: ${plain(reason)}`;
  return [...lines, ["background", `${state}, ${fetched} of ${counted(all, "object")}${why}`]];
}

/** Median and 99th percentile, as far as the classes tell. */
function quantiles(buckets: readonly number[]): string {
  const count = buckets.at(-1) ?? 0;
  if (count === 0) return "none";
  const [half, most] = [0.5, 0.99].map((share) => {
    const bound = latencyBounds[buckets.findIndex((below) => below >= count * share)];
    return bound === undefined ? `> ${latencyBounds.at(-1)} ms` : `< ${bound} ms`;
  });
  return `${half}, 99 % ${most}`;
}

function wayOf({ mode, transport }: MountStatus): string {
  if (mode === undefined) return "-";
  return mode === "fuse" && transport !== undefined ? `fuse over ${transport}` : mode;
}

/** Names must not move the cursor. */
function plain(text: string): string {
  return printable(fromText(text));
}
