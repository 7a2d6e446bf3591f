// Loaded before a mount's server: on SIGUSR2 it says something to its error output, and then has an
// error that nobody has expected.
const { isMainThread } = require("node:worker_threads");

if (isMainThread && process.argv[1]?.endsWith("server.js")) {
  process.on("SIGUSR2", () => {
    process.emitWarning("of a test");
    setTimeout(() => {
      throw new Error("of a test");
    }, 100);
  });
}
