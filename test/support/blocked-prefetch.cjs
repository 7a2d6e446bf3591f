// Loaded before a mount's server: its thread that reads ahead waits for ever when it comes to a larger object.
const fs = require("node:fs");
const { isMainThread } = require("node:worker_threads");

if (!isMainThread) {
  const { readSync } = fs;
  fs.readSync = (...args) => {
    // The thread's name is not known before its own code runs, which is read without a position.
    const isOurs = process.argv[1]?.endsWith("prefetch-worker.js");
    const [, , , length, position] = args;
    if (!isOurs || length < 4096 || typeof position !== "number") return readSync(...args);
    return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };
  require("node:module").syncBuiltinESMExports();
}
