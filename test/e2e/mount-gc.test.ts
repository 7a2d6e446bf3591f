/** gc and live mounts, in every mode: what a mount needs stays while it lives, and no longer. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { collectGarbage } from "../../src/store/gc/gc.ts";
import { removeNames } from "../../src/store/remove-name.ts";
import { ways } from "../support/modes.ts";
import { MountBed, isMounted, newDirectory } from "../support/mount-bed.ts";
import { serverOf } from "../support/processes.ts";
import { objectsIn } from "../support/store.ts";
import { until } from "../support/until.ts";

const content = Buffer.from("kept while it is mounted ".repeat(400));

describe.each(ways)("mode $name", ({ args, missing }) => {
  let bed: MountBed;
  beforeEach((context) => context.skip(missing !== undefined, missing));
  beforeAll(() => {
    if (missing === undefined) bed = new MountBed();
  });
  afterAll(() => bed?.close());

  function addImage(): void {
    const root = newDirectory();
    root.mode = 0o40755;
    root.entries.set(ascii("file"), bed.file(content));
    bed.addTree("app", root);
  }

  const leases = () => readdirSync(join(bed.store.path, "leases"));

  test("gc keeps a mounted image without a name until it is unmounted", async () => {
    addImage();
    const directory = bed.mount("app", args);
    expect(leases()).toHaveLength(1);
    removeNames(bed.store, ["app"]);
    expect(collectGarbage(bed.store).removed.objects).toBe(0);
    expect(readFileSync(join(directory, "file")).equals(content)).toBe(true);
    bed.unmount(directory);
    await until(() => leases().length === 0);
    expect(collectGarbage(bed.store).removed.objects).toBe(2);
    expect(objectsIn(bed.store)).toEqual([]);
  });

  test("gc takes the lease of a mount that was killed for what it is: dead", async () => {
    addImage();
    const directory = bed.mount("app", args);
    removeNames(bed.store, ["app"]);
    expect(collectGarbage(bed.store).removed.objects).toBe(0);
    process.kill(serverOf(directory), "SIGKILL");
    await until(() => !isMounted(directory));
    await until(() => collectGarbage(bed.store).removed.objects === 2);
    expect(leases()).toEqual([]);
  });
});
