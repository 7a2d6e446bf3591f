/** One dead, one lying, one slow and one good mirror, and five hundred objects (docs/hostile-inputs.md, 140). */
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { HttpClient } from "../../../src/http/client.ts";
import { fetchAll } from "../../../src/mirror/fetch-all.ts";
import { Fetcher } from "../../../src/mirror/fetcher.ts";
import { HttpMirror } from "../../../src/mirror/http-mirror.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { wanted } from "../../support/fake-source.ts";
import { deadUrl, honestly, lyingly, serve, slowly } from "../../support/object-server.ts";
import { contentOf } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";

const OBJECTS = 500;
const contents = Array.from({ length: OBJECTS }, (_, i) =>
  contentOf(`object ${i}`, i % 50 === 0 ? 2_000_000 + i : 200 + 37 * i),
);

let directory: string;
let server: Store;
let client: Store;
beforeEach(() => {
  directory = scratchFolder();
  server = Store.create(join(directory, "server"));
  client = Store.create(join(directory, "client"));
  const transaction = Transaction.begin(server, { durability: "none" });
  for (const content of contents) transaction.put(wanted(content).digest, content);
  transaction.publish();
  transaction.close();
});

function mirrorAt(url: string): HttpMirror {
  const mirror = new HttpMirror({ base: new URL(url), client: new HttpClient() });
  onTestFinished(() => mirror.close());
  return mirror;
}

const good = () => contents.map(wanted).filter(isGood).length;
const isGood = ({ digest, size }: ReturnType<typeof wanted>) =>
  client.objects.state(digest, size) === "good";

test.each([
  ["the good one last", [0, 1, 2, 3]],
  ["the good one first", [3, 0, 1, 2]],
  ["the slow one first", [2, 1, 3, 0]],
])("everything comes, and right: %s", async (_, order) => {
  const liar = await serve(lyingly(server.path));
  const slow = await serve(slowly(server.path));
  const honest = await serve(honestly(server.path));
  const urls = [await deadUrl(), liar.url, slow.url, honest.url];
  const mirrors = order.map((i) => mirrorAt(urls[i]!));
  const fetcher = new Fetcher({ store: client, sources: mirrors, durability: "none" });
  const result = await fetchAll(fetcher, contents.map(wanted));
  expect(result).toMatchObject({ objects: OBJECTS, failed: [], untried: [] });
  expect(good()).toBe(OBJECTS);
  const stats = new Map(fetcher.stats().map((each) => [each.name, each]));
  const [ofDead, ofLiar, ofSlow, ofHonest] = urls.map((url) => stats.get(url)!);
  expect(ofHonest).toMatchObject({ coolingMs: 0, lastFault: undefined });
  expect(ofHonest!.good).toBe(OBJECTS);
  for (const bad of [ofDead!, ofLiar!, ofSlow!]) expect(bad.good).toBe(0);
  if (order[0] === 3) return; // the others were not even asked
  expect(ofLiar!.faults.wrong).toBeGreaterThan(0);
  expect(ofLiar!.lastFault).toMatch(/digest/);
  // Known for what they are, they are left alone: they do not get every object to fail at.
  expect(liar.requests.length).toBeLessThan(OBJECTS / 5);
  expect(slow.requests.length).toBeLessThan(OBJECTS / 5);
  // A server hears of an end a little later than we.
  expect(honest.mostAtOnce()).toBeLessThanOrEqual(2 * fetcher.jobs);
});

test("a mirror that turns into a liar is left, and the other finishes", async () => {
  let asked = 0;
  const honest = honestly(server.path);
  const lying = lyingly(server.path);
  const turning = await serve((request, response) =>
    (++asked <= 100 ? honest : lying)(request, response),
  );
  const other = await serve(honest);
  const fetcher = new Fetcher({
    store: client,
    sources: [mirrorAt(turning.url), mirrorAt(other.url)],
    durability: "none",
  });
  const result = await fetchAll(fetcher, contents.map(wanted));
  expect(result).toMatchObject({ objects: OBJECTS, failed: [] });
  expect(good()).toBe(OBJECTS);
  const [ofTurning, ofOther] = fetcher.stats();
  expect(ofTurning!.good).toBe(100);
  expect(ofTurning!.faults.wrong).toBeGreaterThan(0);
  expect(ofOther!.good).toBe(OBJECTS - 100);
});
