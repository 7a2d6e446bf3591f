/**
 * Entry module of the threads of fsck: takes batches of digests, answers with what is wrong.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { type EncodedError, encodeError } from "../../error-transfer.ts";
import { type Batch, type BatchResult, checkBatch } from "./fsck-object.ts";
import { HeldDirectory, type SharedDirectory } from "../../fs/held-directory.ts";
import { ObjectStore } from "../objects.ts";

/** The result of a batch, or why it could not be checked. */
export type BatchAnswer = { readonly result: BatchResult } | { readonly error: EncodedError };

/** The objects of a store, for another thread of the process that holds it open. */
export interface ObjectsPlace {
  readonly directory: SharedDirectory;
  /** Of its `objects/`. */
  readonly name: string;
}

const { directory, name } = workerData as ObjectsPlace;
const objects = new ObjectStore(HeldDirectory.shared(directory), name);

parentPort?.on("message", (batch: Batch) => {
  let answer: BatchAnswer;
  try {
    answer = { result: checkBatch(objects, batch) };
  } catch (error) {
    answer = { error: encodeError(error) };
  }
  parentPort!.postMessage(answer);
});
