/** Ends the process when one input takes too long, and keeps that input. @module */
import { writeFileSync } from "node:fs";
import { workerData } from "node:worker_threads";

const { state, input, file, seconds } = workerData;
const [RUNS, LENGTH] = [0, 1];
let before = -1;
let since = Date.now();
setInterval(() => {
  const runs = Atomics.load(state, RUNS);
  if (runs !== before) [before, since] = [runs, Date.now()];
  if (Date.now() - since < seconds * 1000) return;
  writeFileSync(file, Buffer.from(input.subarray(0, state[LENGTH])));
  console.error(`no end after ${seconds} s: ${file}`);
  process.kill(process.pid, "SIGKILL");
}, 500);
