/**
 * Entry of a server thread: loads its code, and waits to be told what to serve.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { encodeError } from "../error-transfer.ts";
import { serveObjectsInThread } from "./objects-thread.ts";
import type { Tell, ThreadJob } from "./thread-messages.ts";
import { serveImageInThread } from "./image-thread.ts";
import { hashInLanes } from "../sys/sha256-lanes.ts";

const tell: Tell = (message) => {
  parentPort?.postMessage(message);
};

hashInLanes();
parentPort?.once("message", ({ work, input }: ThreadJob) => {
  try {
    if (work === "image") serveImageInThread(input, tell);
    else serveObjectsInThread(input, tell);
  } catch (error) {
    tell({ error: encodeError(error) });
  }
});
