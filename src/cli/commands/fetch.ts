/**
 * `sealfs fetch`: gets what an image lacks from mirrors.
 *
 * @module
 */
import type { Command } from "commander";
import { FetchError } from "../../errors.ts";
import {
  type ImageFetch,
  type ImageFetchPlan,
  fetchImage,
  planImageFetch,
} from "../../fetch/fetch-image.ts";
import { keepImage } from "../../fetch/keep-image.ts";
import { locateImage, openCurrent } from "../../verify/locate.ts";
import type { SourceStats } from "../../mirror/health.ts";
import type { ObjectSource } from "../../mirror/source.ts";
import { Stores } from "../../store/stores.ts";
import { addNote } from "../options/help-note.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { counted, formatBytes } from "../terminal/units.ts";
import { type MirrorOptions, declareMirrors, readMirrors } from "../options/mirror-options.ts";
import { wholeNumber } from "../options/numbers.ts";
import { repeated } from "../options/repeated.ts";
import { type StoredImageOptions, declareSignedImage } from "../options/signed-image-options.ts";
import { type WriteOptions, declareWriting } from "../options/write-options.ts";
import { type TrustOptions, declareTrust, readTrust } from "../options/trust-options.ts";

interface Options extends StoredImageOptions, TrustOptions, MirrorOptions, WriteOptions {
  readonly store: string[];
  readonly path?: string[];
  readonly dryRun?: true;
  readonly json?: true;
  readonly jobs: number;
}

/** How many of the objects that could not be fetched are named. */
const SHOWN = 8;

export function declare(command: Command, io: Io): void {
  command
    .argument("<image>", "a name or id in a store, or a file")
    .addOption(
      repeated(
        "--path <pattern>",
        "only files that match, such as '/usr/lib/**' or /etc; may be repeated",
      ),
    )
    .option("--dry-run", "only print what is missing, and how much each mirror would send")
    .option("--jobs <n>", "requests at a time", wholeNumber("--jobs", 1, 64), 8)
    .option("--json", "print one JSON document")
    .action((image: string, options: Options) => fetch(image, options, io));
  const store = "the store to fetch into; may be repeated: further ones are only read";
  declareSignedImage(command, store, true);
  declareTrust(command);
  declareMirrors(command);
  declareWriting(command);
  addNote(
    command,
    "The image is verified first, and only objects with the digests in it are kept. When " +
      "interrupted, run it again: it continues where it stopped. The exit status is 6 when something " +
      "could not be fetched.",
  );
}

async function fetch(target: string, options: Options, io: Io): Promise<void> {
  const { bundle: bundles, name, platform, path: paths = [] } = options;
  const { jobs, durability, minFree } = options;
  const { trust, state, now } = readTrust(options, io);
  const stores = Stores.open(options.store, { foreignOwner: options.foreignStore });
  const demands = { trust, state, name, platform, now };
  const verified = await openCurrent(target, { stores, bundles }, demands);
  const sources = await readMirrors(options, verified, stores, io);
  if (options.dryRun) {
    printPlan(planImageFetch(verified, stores, { sources, paths }), options, io);
    return;
  }
  const progress = io.progress("fetching");
  const result = await interruptible("fetch", (signal) =>
    fetchImage(verified, stores, {
      sources,
      paths,
      jobs,
      durability,
      minFree,
      signal,
      onProgress: ({ objects, bytes }, total) =>
        progress.update(bytes, total.bytes, `${objects} of ${counted(total.objects, "object")}`),
    }),
  ).finally(() => progress.end());
  printResult(result, options, io);
  requireComplete(result, sources);
  // A name in a store promises that everything is there.
  const { bundles: files, name: known } = locateImage(
    target,
    { stores, bundles },
    undefined,
    demands,
  );
  const isWhole = paths.length === 0;
  if (
    keepImage(stores.first, verified, files, {
      name: isWhole ? (name ?? known) : undefined,
      durability,
      stores,
    })
  ) {
    io.log(`${verified.statement.name} is in ${stores.first.path} now`);
  }
}

function printPlan(plan: ImageFetchPlan, { json }: Options, io: Io): void {
  if (json) {
    io.document(plan);
    return;
  }
  const { missing, wanted, sources, absent } = plan;
  io.log(
    `missing: ${missing.objects} of ${counted(wanted.objects, "object")}, ` +
      `${formatBytes(missing.bytes)} of ${formatBytes(wanted.bytes)}`,
  );
  for (const { name, objects, requests, cost } of sources) {
    io.print(
      `${name}  ${counted(objects, "object")}  ${counted(requests, "request")}  ${formatBytes(cost)}`,
    );
  }
  if (absent.length > 0) io.print(`nowhere  ${counted(absent.length, "object")}`);
}

function printResult(result: ImageFetch, { json }: Options, io: Io): void {
  const { missing, fetched, failed, sources } = result;
  if (json) {
    const failures = failed.map(({ object, error }) => ({
      ...object,
      reason: error.message,
      sources: error instanceof FetchError ? error.failures : [],
    }));
    io.document({ ...result, failed: failures });
    return;
  }
  if (missing.objects === 0) io.log("nothing is missing");
  else io.log(`fetched ${counted(fetched.objects, "object")}, ${formatBytes(fetched.bytes)}`);
  for (const source of sources) for (const line of sourceLines(source)) io.print(line);
}

function* sourceLines({ name, good, bytes, received, faults, lastFault }: SourceStats) {
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
  if (good === 0 && total === 0) return;
  const wire = received === undefined ? "" : ` (${formatBytes(received)} received)`;
  yield `${name}  ${counted(good, "request")}  ${formatBytes(bytes)}${wire}`;
  if (total === 0) return;
  const kinds = Object.entries(faults).filter(([, count]) => count > 0);
  const counts = kinds.map(([kind, count]) => `${count} ${kind}`).join(", ");
  yield `  ${total} failures (${counts}), the last: ${lastFault}`;
}

function requireComplete({ failed, untried }: ImageFetch, sources: readonly ObjectSource[]): void {
  const lacking = failed.length + untried.length;
  if (lacking === 0) return;
  const reasons = failed.slice(0, SHOWN).map(({ error }) => error.message);
  const more = lacking - reasons.length;
  if (more > 0) reasons.push(`and ${more} more`);
  const failures = failed.flatMap(({ error }) =>
    error instanceof FetchError ? error.failures : [],
  );
  throw new FetchError(
    "INCOMPLETE",
    `${counted(lacking, "object")} could not be fetched:\n  ${reasons.join("\n  ")}`,
    {
      failures,
      hint:
        sources.length === 0
          ? "no mirror was given: add one with --mirror"
          : "the others are in the store now; another --mirror may have the rest",
    },
  );
}
