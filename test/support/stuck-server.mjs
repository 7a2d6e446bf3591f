// A server that cannot be killed: it serves a file system, a thread of its own waits for an answer of
// it, and the thread that has read the request never answers.
//
// node stuck-server.mjs DIRECTORY; says "stuck" when it is.
import { readSync, writeSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

if (isMainThread) {
  const [{ negotiate }, { openDevFuse }, { startGuard }, { mountAt }, { mountFuse }] =
    await Promise.all([
      import("../../dist/fuse/init.js"),
      import("../../dist/fuse/dev-fuse.js"),
      import("../../dist/mount/guard/guard.js"),
      import("../../dist/mount/table/mountinfo.js"),
      import("../../dist/sys/mount-calls.js"),
    ]);
  const [target] = process.argv.slice(2);
  const guard = startGuard(target);
  const fd = openDevFuse();
  const options = ["rootmode=40000", "user_id=0", "group_id=0", "allow_other"];
  mountFuse({ fd, source: "sealfs:stuck", target, type: "fuse.sealfs", options });
  negotiate(fd, { acls: false, passthrough: undefined });
  guard.mounted(mountAt(target).device);
  const thread = new Worker(new URL(import.meta.url), { workerData: fd });
  thread.once("message", () => writeSync(1, "stuck\n"));
  thread.once("online", () => void lstat(target).catch(() => undefined));
} else {
  readSync(workerData, Buffer.alloc(65536 + 4096));
  parentPort.postMessage("read");
  setInterval(() => undefined, 1000);
}
