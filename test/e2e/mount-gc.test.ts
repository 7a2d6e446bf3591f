/** What is mounted stays in its store, whatever becomes of its name. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { collectGarbage } from "../../src/store/gc.ts";
import { removeNames } from "../../src/store/remove-name.ts";
import { MountBed, newDirectory, noMount, until } from "../support/mount-bed.ts";
import { objectsIn } from "../support/store.ts";

const reason = noMount();
const content = Buffer.alloc(300_000, "content ");
let bed: MountBed;

beforeEach((context) => context.skip(reason !== undefined, reason));
beforeAll(() => {
  if (reason === undefined) bed = new MountBed();
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
  const directory = bed.mount("app");
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
  const { child } = await bed.hold("app");
  removeNames(bed.store, ["app"]);
  expect(collectGarbage(bed.store).removed.objects).toBe(0);
  child.kill("SIGKILL");
  await until(() => collectGarbage(bed.store).removed.objects === 2);
  expect(leases()).toEqual([]);
});
