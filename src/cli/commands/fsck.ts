/**
 * `sealfs fsck`: checks a whole store, and repairs it.
 *
 * @module
 */
import { type ForeignStoreOption, foreignStore } from "../options/foreign-store.ts";
import type { Command } from "commander";
import { IntegrityError, UsageError } from "../../errors.ts";
import { repairFromMirror } from "../../mirror/repair.ts";
import { openSources } from "../../mirror/sources.ts";
import { type FsckResult, checkStore } from "../../store/fsck/fsck.ts";
import type { StoreProblem } from "../../store/fsck/problem.ts";
import { HeldDirectory } from "../../fs/held-directory.ts";
import { META_FILE } from "../../store/layout.ts";
import { type RepairSource, repairFrom } from "../../store/fsck/repair-source.ts";
import { Store } from "../../store/store.ts";
import { addNote } from "../options/help-note.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { wholeNumber } from "../options/numbers.ts";
import { repeated } from "../options/repeated.ts";

interface Options extends ForeignStoreOption {
  readonly store: string;
  readonly repair?: true;
  readonly from?: string[];
  readonly threads?: number;
  readonly timeout: number;
  readonly json?: true;
}

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
    .addOption(foreignStore())
    .option("--threads <n>", "threads (default: one per processor)", wholeNumber("--threads", 0))
    .option(
      "--timeout <seconds>",
      "how long to wait for other processes that use the store",
      wholeNumber("--timeout", 0),
      30,
    )
    .option("--json", "print one JSON document")
    .action(async (options: Options) => {
      const { store, repair, from = [], threads, timeout, json } = options;
      if (repair === undefined && from.length > 0) {
        throw new UsageError("USAGE", "--from: expected --repair as well");
      }
      const sources = await repairSources(from);
      const progress = io.progress("checking");
      const result = await interruptible("fsck", (signal) =>
        checkStore(Store.open(store, { foreignOwner: options.foreignStore }), {
          repair: repair === true,
          from: sources,
          threads,
          timeoutMs: timeout * 1000,
          onProgress: (bytes, estimate) => progress.update(bytes, estimate),
          signal,
        }),
      ).finally(() => progress.end());
      if (json) io.document(result);
      else print(result, io);
      if (!result.good) throw remaining(store, result);
    });
}

async function repairSources(places: readonly string[]): Promise<RepairSource[]> {
  const sources: RepairSource[] = [];
  for (const place of places) {
    if (isStore(place)) sources.push(repairFrom(Store.open(place)));
    else
      for (const mirror of await openSources({ mirrors: [place], mirrorsFile: "none" })) {
        sources.push(repairFromMirror(mirror));
      }
  }
  return sources;
}

function isStore(place: string): boolean {
  try {
    return HeldDirectory.open(place).stat(META_FILE) !== undefined;
  } catch {
    return false;
  }
}

function print(result: FsckResult, io: Io): void {
  for (const problem of result.problems) io.print(line(problem));
  const { images, objects, bytes, bundles, leafCaches, layers, problems, good } = result;
  io.log(
    `checked ${counted(images, "image")}, ${counted(objects, "object")} (${formatBytes(bytes)}), ` +
      `${counted(bundles, "bundle")}, ${counted(leafCaches, "leaf cache")}, ` +
      counted(layers, "layer record"),
  );
  if (problems.length > 0 && good) io.log("everything is repaired");
}

function remaining(store: string, { problems }: FsckResult): IntegrityError {
  const remain = counted(problems.filter(({ bad }) => bad).length, "problem");
  return new IntegrityError("DAMAGED_STORE", `store ${store}: ${remain} left`, {
    hint: "sealfs fsck --repair --from STORE restores objects from another store or a mirror",
  });
}

function line({ kind, path, message, repair }: StoreProblem): string {
  return `${kind} ${path}: ${message}${repair === undefined ? "" : ` [${repair}]`}`;
}
