/**
 * Preloaded, it puts a defect into a command: opening a file named `defect` throws what no code that
 * opens files expects.
 */
const fs = require("node:fs");

const { openSync } = fs;
fs.openSync = (path, ...rest) => {
  if (String(path).endsWith("/defect")) throw new TypeError("provoked");
  return openSync(path, ...rest);
};
