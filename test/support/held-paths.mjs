/**
 * Traces of strace in which names below held directories stand as paths.
 *
 * A held directory is used as `/proc/thread-self/fd/N/NAME`. With `-y` strace tells what each
 * descriptor is when it is opened; the trace has to have the calls that open: openat and openat2.
 *
 * @module
 */

const OPENED = /^\d+ +openat2?\(.*= (\d+)<([^>]*)>$/;
const HELD = /"\/proc\/thread-self\/fd\/(\d+)(?:\/([^"]*))?"/g;

/** The lines, with the paths that the names stand for. */
export function resolveHeldPaths(lines) {
  const paths = new Map();
  return lines.map((line) => {
    const resolved = line.replace(HELD, (text, fd, name) => {
      const directory = paths.get(fd);
      if (directory === undefined) return text;
      return `"${name === undefined || name === "." ? directory : `${directory}/${name}`}"`;
    });
    const opened = OPENED.exec(line);
    if (opened !== null) paths.set(opened[1], opened[2]);
    return resolved;
  });
}
