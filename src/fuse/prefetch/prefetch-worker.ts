/**
 * The thread that reads ahead (see {@link ./prefetch.ts}).
 *
 * @module
 */
import { once } from "node:events";
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { Image } from "../../erofs/image.ts";
import { decodeError } from "../../error-transfer.ts";
import { hashInLanes } from "../../sys/sha256-lanes.ts";
import { VERITY_BLOCK_SIZE } from "../../verity/index.ts";
import { Counters, counterMemory, readCounters } from "../counters.ts";
import { SUPPLY_TRIES } from "../supply.ts";
import { ObjectTable } from "../object-table.ts";
import { type ObjectFile, ObjectReader, ObjectUnavailable } from "../object-reader.ts";
import type {
  PrefetchAnswer,
  PrefetchInput,
  PrefetchMessage,
  PrefetchStatus,
} from "./prefetch-input.ts";
import { type PlannedObject, planPrefetch } from "./prefetch-plan.ts";
import { SharedLeaves } from "../shared-leaves.ts";
import { openPlaces } from "../store-place.ts";

const LOWEST_PRIORITY = 19;
const PIECE_BYTES = 1024 * 1024;
const TELL_MS = 200;

hashInLanes();
const input = workerData as PrefetchInput;
const counters = counterMemory(1);
const leaves =
  input.leaves === undefined
    ? SharedLeaves.create(1, 0) // not shared with anyone
    : new SharedLeaves(input.leaves.leaves);
const table =
  input.leaves?.objects === undefined ? undefined : new ObjectTable(input.leaves.objects);
const places = openPlaces(input.stores, input.partial);
const reader = new ObjectReader(places, leaves, new Counters(counters));
const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);

function tell(message: PrefetchMessage): void {
  parentPort?.postMessage(message);
}

/** Does `work`; where content is missing, asks for it, waits, and does it again. */
async function whenProvided(work: () => void): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      work();
      return;
    } catch (error) {
      const isMissing = error instanceof ObjectUnavailable && input.partial !== undefined;
      if (!isMissing || attempt === SUPPLY_TRIES) throw error;
      tell({ need: { file: error.file, range: error.range } });
      const [{ failed }] = (await once(parentPort!, "message")) as [PrefetchAnswer];
      if (failed !== undefined) throw decodeError(failed, "fetching");
    }
  }
}

/** Reads and checks all of an object; its leaf hashes stay where readers find them. */
async function read({ digest, size, nids }: PlannedObject): Promise<void> {
  const [key, ...others] = table === undefined ? nids : [table.nodeOf(digest)];
  const file: ObjectFile = { nid: key, digest, size };
  const hashed = readCounters(counters).hashedBytes;
  if (size > VERITY_BLOCK_SIZE) await whenProvided(() => reader.prepare(file));
  if (readCounters(counters).hashedBytes === hashed) {
    for (let at = 0; at < size; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, size - at);
      await whenProvided(() => reader.read(file, at, piece, 0, length));
    }
  }
  const found = leaves.get(key);
  if (found !== undefined) for (const other of others) leaves.add(other, found);
}

async function run(): Promise<void> {
  setPriority(LOWEST_PRIORITY); // of this thread alone
  const { objects, absent } = planPrefetch(Image.open(new Uint8Array(input.image)), input.list);
  for (const path of absent) {
    tell({ problem: { operation: "PREFETCH", nodeid: 1, message: `not in the image: ${path}` } });
  }
  const bytes = objects.reduce((sum, { size }) => sum + size, 0);
  let status: PrefetchStatus = { state: "running", objects: objects.length, bytes, doneObjects: 0, doneBytes: 0, failed: 0, absent: absent.length }; // prettier-ignore
  tell({ status });
  let told = performance.now();
  for (const object of objects) {
    let failed = 0;
    try {
      await read(object);
    } catch (error) {
      failed = 1;
      const [nodeid] = object.nids;
      tell({ problem: { operation: "PREFETCH", nodeid, message: (error as Error).message } });
    }
    status = {
      ...status,
      doneObjects: status.doneObjects + 1 - failed,
      doneBytes: status.doneBytes + (failed === 0 ? object.size : 0),
      failed: status.failed + failed,
    };
    if (performance.now() - told < TELL_MS) continue;
    told = performance.now();
    tell({ status });
  }
  tell({ status: { ...status, state: "done" } });
}

void run().then(() => parentPort?.close());
