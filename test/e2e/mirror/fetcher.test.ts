/** The fetcher over sources of every kind of honesty. */
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { FetchError } from "../../../src/errors.ts";
import { fetchAll } from "../../../src/mirror/fetch-all.ts";
import { Fetcher, type FetcherOptions } from "../../../src/mirror/fetcher.ts";
import { HeldDirectory } from "../../../src/fs/held-directory.ts";
import { FileSource } from "../../../src/mirror/file-source.ts";
import type {
  ByteRange,
  ObjectGroup,
  ObjectSource,
  WantedObject,
} from "../../../src/mirror/source.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { FakeSource, wanted } from "../../support/fake-source.ts";
import { contentOf, damage } from "../../support/store.ts";
import { until } from "../../support/until.ts";
import { scratchFolder } from "../../support/scratch.ts";

let directory: string;
let store: Store;
beforeEach(() => {
  directory = scratchFolder();
  store = Store.create(join(directory, "store"));
});

const fetcherOf = (sources: readonly ObjectSource[], options: Partial<FetcherOptions> = {}) =>
  new Fetcher({ store, sources, durability: "none", lingerMs: 10, ...options });
const contents = (count: number, bytes = 3000) =>
  Array.from({ length: count }, (_, i) => contentOf(`seed ${i}`, bytes + i));
const isGood = (object: WantedObject) => store.objects.state(object.digest, object.size) === "good";

describe("single flight", () => {
  test("a hundred requests for one object are one download", async () => {
    const content = contentOf("one");
    const source = new FakeSource("m", [content]);
    const fetcher = fetcherOf([source]);
    await Promise.all(Array.from({ length: 100 }, () => fetcher.fetch(wanted(content))));
    expect(source.asked).toBe(1);
    expect(isGood(wanted(content))).toBe(true);
  });

  test("when the download fails, all who wait hear of it", async () => {
    const content = contentOf("one");
    const fetcher = fetcherOf([new FakeSource("m", [content], "wrong")]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, () => fetcher.fetch(wanted(content))),
    );
    expect(outcomes.every((each) => each.status === "rejected")).toBe(true);
    expect(isGood(wanted(content))).toBe(false);
  });

  test("who loses interest is free at once, the others get the object", async () => {
    const content = contentOf("one", 70);
    const source = new FakeSource("m", [content], "waits");
    const fetcher = fetcherOf([source]);
    const controller = new AbortController();
    const reason = new Error("enough");
    const impatient = fetcher.fetch(wanted(content), { signal: controller.signal });
    const patient = fetcher.fetch(wanted(content), { signal: new AbortController().signal });
    await until(() => source.asked === 1);
    controller.abort(reason);
    await expect(impatient).rejects.toBe(reason);
    source.gate.open();
    await patient;
    expect(source.asked).toBe(1);
    expect(isGood(wanted(content))).toBe(true);
  });
});

describe("what comes", () => {
  test("is in the store in its final place with the mode of an object, and nothing is left in tmp/", async () => {
    const small = contentOf("small");
    const large = contentOf("large", 3_000_000);
    const fetcher = fetcherOf([new FakeSource("m", [small, large])]);
    await Promise.all([fetcher.fetch(wanted(small)), fetcher.fetch(wanted(large))]);
    await fetcher.close();
    for (const content of [small, large]) {
      const path = store.objects.path(verityDigestOf(content));
      expect(readFileSync(path).equals(content)).toBe(true);
      expect(statSync(path).mode & 0o7777).toBe(0o444);
    }
    expect(readdirSync(join(store.path, "tmp"))).toEqual([]);
  });

  test("replaces what is wrong in the store", async () => {
    const content = contentOf("x");
    const fetcher = fetcherOf([new FakeSource("m", [content])]);
    await fetcher.fetch(wanted(content));
    damage(store, verityDigestOf(content));
    expect(isGood(wanted(content))).toBe(false);
    await fetcher.fetch(wanted(content));
    expect(isGood(wanted(content))).toBe(true);
  });

  test.each([3000, 3_000_000])("is not kept when it is wrong (%i bytes)", async (bytes) => {
    const content = contentOf("x", bytes);
    const fetcher = fetcherOf([new FakeSource("liar", [content], "wrong")]);
    await expect(fetcher.fetch(wanted(content))).rejects.toBeInstanceOf(FetchError);
    await fetcher.close();
    expect(existsSync(store.objects.path(verityDigestOf(content)))).toBe(false);
    expect(readdirSync(join(store.path, "tmp"))).toEqual([]);
  });

  test("is published together: five hundred objects, few transactions", async () => {
    const all = contents(500, 100);
    let syncs = 0;
    const begin = Transaction.begin.bind(Transaction);
    Transaction.begin = (target, options) =>
      begin(target, { ...options, sync: () => void syncs++ });
    try {
      const fetcher = fetcherOf([new FakeSource("m", all)], {
        durability: "transaction",
        lingerMs: 1000,
      });
      const result = await fetchAll(fetcher, all.map(wanted));
      expect(result).toMatchObject({ objects: 500, failed: [], untried: [] });
    } finally {
      Transaction.begin = begin;
    }
    expect(syncs).toBeLessThan(100);
    expect(all.map(wanted).every(isGood)).toBe(true);
  });
});

/** Sends `first` bytes and breaks off, the first time. */
class BreakingSource extends FakeSource {
  readonly ranges: ByteRange[] = [];
  readonly #breakAt: number;
  readonly #breaks: number;
  constructor(name: string, contents: readonly Uint8Array[], breakAt: number, breaks = 1) {
    super(name, contents);
    this.#breakAt = breakAt;
    this.#breaks = breaks;
  }

  override async *read(
    object: WantedObject,
    range: ByteRange,
    options: Parameters<ObjectSource["read"]>[2],
  ) {
    this.ranges.push(range);
    for await (const chunk of super.read(object, range, options)) {
      if (this.ranges.length > this.#breaks) yield chunk;
      else yield chunk.subarray(0, this.#breakAt);
    }
  }
}

describe("a download that breaks off", () => {
  test("goes on where it was", async () => {
    const content = contentOf("large", 3_000_000);
    const source = new BreakingSource("m", [content], 1_000_000, 2);
    const fetcher = fetcherOf([source]);
    await fetcher.fetch(wanted(content));
    expect(source.ranges.map(({ start }) => start)).toEqual([0, 1_000_000, 2_000_000]);
    expect(isGood(wanted(content))).toBe(true);
  });

  test("is gone on with by another source", async () => {
    const content = contentOf("large", 3_000_000);
    const first = new BreakingSource("first", [content], 1_000_000, 99);
    first.read = async function* (this: BreakingSource, _object, { start }) {
      if (start > 0) throw new Error("gone");
      yield content.subarray(0, 1_000_000);
      await Promise.resolve();
    };
    const second = new BreakingSource("second", [content], 0, 0);
    const fetcher = fetcherOf([first, second]);
    await fetcher.fetch(wanted(content));
    expect(second.ranges).toEqual([{ start: 1_000_000, end: 3_000_000 }]);
    expect(isGood(wanted(content))).toBe(true);
  });

  test("and began with wrong bytes is fetched again, and the second source is not blamed", async () => {
    const content = contentOf("large", 3_000_000);
    const liar = new FakeSource("liar", [content]);
    liar.read = async function* (_object, { start }) {
      if (start > 0) throw new Error("gone");
      yield Buffer.alloc(1_000_000, 1);
      await Promise.resolve();
    };
    const good = new BreakingSource("good", [content], 0, 0);
    const fetcher = fetcherOf([liar, good]);
    await fetcher.fetch(wanted(content));
    expect(good.ranges.map(({ start }) => start)).toEqual([1_000_000, 0]);
    expect(fetcher.stats()[1]).toMatchObject({ name: "good", lastFault: undefined });
    expect(isGood(wanted(content))).toBe(true);
  });

  test("is gone on with by the next run", async () => {
    const content = contentOf("large", 3_000_000);
    const controller = new AbortController();
    const slow = new FakeSource("slow", [content]);
    slow.read = async function* (_object, _range, { signal }) {
      yield content.subarray(0, 2_000_000);
      controller.abort(new Error("interrupted"));
      await new Promise((resolve) => signal?.addEventListener("abort", resolve));
    };
    const first = fetcherOf([slow]);
    await expect(first.fetch(wanted(content), { signal: controller.signal })).rejects.toThrow();
    await until(() => !first.isFetching(wanted(content).digest));
    await first.close();
    expect(readdirSync(join(store.path, "tmp"))).toHaveLength(1);
    const source = new BreakingSource("m", [content], 0, 0);
    await fetcherOf([source]).fetch(wanted(content));
    expect(source.ranges).toEqual([{ start: 2_000_000, end: 3_000_000 }]);
    expect(isGood(wanted(content))).toBe(true);
    expect(readdirSync(join(store.path, "tmp"))).toEqual([]);
  });
});

/** Gives all that is asked for in groups, of three unless it is told otherwise. */
class GroupingSource extends FakeSource {
  groupsRead = 0;
  groupSize = 3;
  groups(objects: readonly WantedObject[]): readonly ObjectGroup[] {
    const groups: ObjectGroup[] = [];
    for (let i = 0; i < objects.length; i += this.groupSize) {
      groups.push(this.#group(objects.slice(i, i + this.groupSize)));
    }
    return groups;
  }

  #group(objects: readonly WantedObject[]): ObjectGroup {
    return {
      objects,
      cost: objects.reduce((sum, { size }) => sum + size, 0),
      read: (options) => this.#readGroup(objects, options),
    };
  }

  async *#readGroup(objects: readonly WantedObject[], options: { signal?: AbortSignal }) {
    this.groupsRead += 1;
    for (const object of objects) {
      for await (const chunk of this.read(object, { start: 0, end: object.size }, options)) {
        const half = chunk.length >> 1;
        yield { object, chunk: chunk.subarray(0, half), isLast: false };
        yield { object, chunk: chunk.subarray(half), isLast: true };
      }
    }
  }
}

describe("many objects", () => {
  test("are asked for in groups where the source has them", async () => {
    const all = [...contents(20), contentOf("large", 2_000_000)];
    const source = new GroupingSource("layers", all, "good", "layers");
    const result = await fetchAll(fetcherOf([source]), all.map(wanted));
    expect(result).toMatchObject({ objects: 21, failed: [] });
    expect(source.groupsRead).toBe(7);
    expect(all.map(wanted).every(isGood)).toBe(true);
  });

  test("stay in groups when a source fails that was to give many of them at once", async () => {
    const all = contents(2800, 100);
    const dead = new GroupingSource("dead", all, "dead", "layers");
    const good = new GroupingSource("good", all, "good", "layers");
    dead.groupSize = good.groupSize = 350;
    const result = await fetchAll(fetcherOf([dead, good]), all.map(wanted));
    expect(result).toMatchObject({ objects: 2800, failed: [] });
    expect(good.groupsRead).toBe(8);
  });

  test("stay in groups when every source fails once", async () => {
    const all = contents(60);
    const sources = ["one", "two", "three"].map((name) => {
      const source = new GroupingSource(name, all, "dead", "layers");
      source.groupSize = 20;
      return source;
    });
    // The last one comes to life when all have been asked.
    const last = sources.at(-1)!;
    const read = last.read.bind(last);
    last.read = (object, range, options) => {
      const stream = read(object, range, options);
      last.behaviour = "good";
      return stream;
    };
    const result = await fetchAll(fetcherOf(sources), all.map(wanted));
    expect(result).toMatchObject({ objects: 60, failed: [] });
    expect(last.groupsRead).toBeLessThan(10);
  });

  test("come from elsewhere when a group is wrong or breaks off", async () => {
    const all = contents(20);
    for (const behaviour of ["wrong", "dead"] as const) {
      const source = new GroupingSource("layers", all, behaviour, "layers");
      const good = new FakeSource("good", all);
      store = Store.create(join(directory, behaviour));
      const fetcher = fetcherOf([source, good]);
      const result = await fetchAll(fetcher, all.map(wanted));
      expect(result).toMatchObject({ objects: 20, failed: [] });
      expect(all.map(wanted).every(isGood)).toBe(true);
      const [bad] = fetcher.stats();
      expect(behaviour === "wrong" ? bad!.faults.wrong : bad!.faults.unreachable).toBeGreaterThan(
        0,
      );
    }
  });

  test("come as far as they can be had, and the others are named", async () => {
    const all = contents(10);
    const half = new FakeSource("half", all.slice(0, 5));
    const liar = new FakeSource("liar", all.slice(0, 8), "wrong");
    const result = await fetchAll(fetcherOf([liar, half]), all.map(wanted));
    expect(result.objects).toBe(5);
    expect(result.failed).toHaveLength(5);
    const codes = result.failed.map(({ error }) => (error as FetchError).code).sort();
    expect(codes).toEqual(["ALL_FAILED", "ALL_FAILED", "ALL_FAILED", "NO_SOURCE", "NO_SOURCE"]);
  });

  test("are given up when every source is dead", async () => {
    const all = contents(300);
    const dead = [new FakeSource("a", all, "dead"), new FakeSource("b", all, "dead")];
    const result = await fetchAll(fetcherOf(dead), all.map(wanted));
    expect(result.objects).toBe(0);
    expect(result.failed.length).toBeLessThan(100);
    expect(result.failed.length + result.untried.length).toBe(300);
  });

  test("end with what the store has when they are interrupted; the next run fetches only the rest", async () => {
    const all = contents(200);
    const controller = new AbortController();
    const source = new FakeSource("m", all);
    const run = fetchAll(fetcherOf([source]), all.map(wanted), {
      signal: controller.signal,
      onProgress: ({ objects }) => {
        if (objects >= 50) controller.abort(new Error("Ctrl-C"));
      },
    });
    await expect(run).rejects.toThrow("Ctrl-C");
    const missing = all.map(wanted).filter((object) => !isGood(object));
    expect(missing.length).toBeLessThanOrEqual(150);
    source.asked = 0;
    expect(await fetchAll(fetcherOf([source]), missing)).toMatchObject({ failed: [] });
    expect(source.asked).toBe(missing.length);
    expect(all.map(wanted).every(isGood)).toBe(true);
  });

  test("come from another store, and from a plain directory laid out like objects/", async () => {
    const all = contents(20);
    const other = Store.create(join(directory, "other"));
    const filled = new Fetcher({
      store: other,
      sources: [new FakeSource("m", all)],
      durability: "none",
    });
    await fetchAll(filled, all.map(wanted));
    damage(other, verityDigestOf(all[3]!));
    const fromStore = await fetchAll(
      fetcherOf([new FileSource("store", other.files, "objects")]),
      all.map(wanted),
    );
    expect(fromStore).toMatchObject({ objects: 19 });
    expect(fromStore.failed.map(({ object }) => object)).toEqual([wanted(all[3]!)]);
    store = Store.create(join(directory, "third"));
    const plain = new FileSource("directory", HeldDirectory.open(join(other.path, "objects")), "");
    expect(await fetchAll(fetcherOf([plain]), all.map(wanted))).toMatchObject({ objects: 19 });
  });
});
