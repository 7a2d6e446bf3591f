/**
 * `sealfs fsck`: checks a whole store, and repairs it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { repairFromMirror } from "../../mirror/repair.ts";
import { openSources } from "../../mirror/sources.ts";
import { type FsckResult, checkStore } from "../../store/fsck/fsck.ts";
import type { StoreProblem } from "../../store/fsck/problem.ts";
import { META_FILE } from "../../store/layout.ts";
import { type RepairSource, repairFrom } from "../../store/fsck/repair-source.ts";
import { Store } from "../../store/store.ts";
import { addNote } from "../options/help-note.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { wholeNumber } from "../options/numbers.ts";
import { repeated } from "../options/repeated.ts";

interface Options {
  readonly store: string;
  readonly repair?: true;
  readonly from?: string[];
  readonly threads?: number;
  readonly timeout: number;
  readonly json?: true;
}

/** As for an IntegrityError: something is not what it should be. */
const BAD_STATUS = 4;

export function declare(command: Command, io: Io): void {
  addNote(command, "Reads every object. The exit status is 4 when a problem remains.")
    .requiredOption("--store <dir>", "the store")
    .option("--repair", "quarantine what is wrong, and repair what can be repaired")
    .addOption(
      repeated(
        "--from <place>",
        "with --repair: a store or mirror to copy good objects from; may be repeated, in order",
      ),
    )
    .option("--threads <n>", "threads (default: one per processor)", wholeNumber("--threads", 0))
    .option(
      "--timeout <seconds>",
      "how long to wait for other processes that use the store",
      wholeNumber("--timeout", 0),
      30,
    )
    .option("--json", "print one JSON document")
    .action(async ({ store, repair, from = [], threads, timeout, json }: Options) => {
      if (repair === undefined && from.length > 0) {
        throw new UsageError("USAGE", "--from: expected --repair as well");
      }
      const sources = await repairSources(from);
      const progress = io.progress("checking");
      const result = await checkStore(Store.open(store), {
        repair: repair === true,
        from: sources,
        threads,
        timeoutMs: timeout * 1000,
        onProgress: (bytes, estimate) => progress.update(bytes, estimate),
      });
      progress.end();
      if (json) io.print(JSON.stringify(result));
      else print(result, io);
      if (!result.good) process.exitCode = BAD_STATUS;
    });
}

async function repairSources(places: readonly string[]): Promise<RepairSource[]> {
  const sources: RepairSource[] = [];
  for (const place of places) {
    if (existsSync(`${place}/${META_FILE}`)) sources.push(repairFrom(Store.open(place)));
    else
      for (const mirror of await openSources({ mirrors: [place], mirrorsFile: "none" })) {
        sources.push(repairFromMirror(mirror));
      }
  }
  return sources;
}

function print(result: FsckResult, io: Io): void {
  for (const problem of result.problems) io.print(line(problem));
  const { images, objects, bytes, bundles, leafCaches, problems, good } = result;
  io.log(
    `checked ${counted(images, "image")}, ${counted(objects, "object")} (${formatBytes(bytes)}), ` +
      `${counted(bundles, "bundle")}, ${counted(leafCaches, "leaf cache")}`,
  );
  if (problems.length > 0) io.log(good ? "everything is repaired" : "problems remain");
}

function line({ kind, path, message, repair }: StoreProblem): string {
  return `${kind} ${path}: ${message}${repair === undefined ? "" : ` [${repair}]`}`;
}
