/**
 * A server thread: loads its code, and waits to be told what to serve.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { serveObjectTable } from "./serve-object-table.ts";
import type { Tell, ThreadJob } from "./thread-input.ts";
import { serveImage } from "./serve-image.ts";
import { hashInLanes } from "../sys/sha256-lanes.ts";

const tell: Tell = (message) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port has no origin
  parentPort?.postMessage(message);
};

hashInLanes();
parentPort?.once("message", ({ work, input }: ThreadJob) => {
  if (work === "image") serveImage(input, tell);
  else serveObjectTable(input, tell);
});
