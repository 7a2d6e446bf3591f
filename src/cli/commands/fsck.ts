/**
 * `sealfs fsck`: checks a whole store, and mends it.
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
import { collect } from "../options/image-argument.ts";
import { formatBytes, type Io } from "../terminal/io.ts";
import { wholeNumber } from "../options/numbers.ts";

interface Options {
  store: string;
  repair?: true;
  from: string[];
  threads?: number;
  timeout: number;
  json?: true;
}

/** As for an IntegrityError: something is not what it should be. */
const BAD_STATUS = 4;

export function declare(command: Command, io: Io): void {
  command
    .requiredOption("--store <dir>", "the store")
    .option("--repair", "move what is wrong to quarantine, and mend what can be mended")
    .option(
      "--from <where>",
      "with --repair: get good objects from there, a store or a mirror; repeatable",
      collect,
      [],
    )
    .option("--threads <n>", "threads (default: one per processor)", wholeNumber("--threads", 0))
    .option("--timeout <s>", "seconds to wait for others", wholeNumber("--timeout", 0), 30)
    .option("--json", "print one JSON document")
    .addHelpText(
      "after",
      "\nReads every object. Exit status 4 when something is wrong and was not mended.",
    )
    .action(async ({ store, repair, from, threads, timeout, json }: Options) => {
      if (repair === undefined && from.length > 0) {
        throw new UsageError("USAGE", "--from: only with --repair are objects copied");
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
    `checked ${images} images, ${objects} objects (${formatBytes(bytes)}), ${bundles} bundles, ` +
      `${leafCaches} leaf caches`,
  );
  if (problems.length > 0) io.log(good ? "everything is mended" : "something is still wrong");
}

function line({ kind, path, message, repair }: StoreProblem): string {
  return `${kind} ${path}: ${message}${repair === undefined ? "" : ` [${repair}]`}`;
}
