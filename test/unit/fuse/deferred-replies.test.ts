/** Requests that wait for content: each is answered once, rightly, and hinders no other. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { Image } from "../../../src/erofs/image.ts";
import { ImageFileSystem } from "../../../src/fuse/image-file-system.ts";
import { DeferredReplies } from "../../../src/fuse/deferred-replies.ts";
import { ObjectReader } from "../../../src/fuse/object-reader.ts";
import { type ImageContext, imageOperations } from "../../../src/fuse/image-operations.ts";
import { type Problem, Session } from "../../../src/fuse/session.ts";
import { SharedLeaves } from "../../../src/fuse/shared-leaves.ts";
import { HeldDirectory } from "../../../src/fs/held-directory.ts";
import { openPlaces } from "../../../src/fuse/store-place.ts";
import type { Supply } from "../../../src/fuse/supply.ts";
import { InHeader, InterruptIn, Opcode, OutHeader } from "../../../src/fuse/wire.ts";
import { Store } from "../../../src/store/store.ts";
import { readIn } from "../../support/fuse-client.ts";
import { inodeAt } from "../../support/small-image.ts";
import { contentOf, imageWith } from "../../support/store.ts";
import { verityDigestOf } from "../../../src/verity/index.ts";
import { scratchFolder } from "../../support/scratch.ts";

const EIO = 5;
const EINTR = 4;
const content = contentOf("late", 20_000);
const image = imageWith({ late: content });
const node = inodeAt(image, "/late").nid;

let scratch: string;
let store: Store;
let answers: { unique: bigint; error: number; payload: Buffer }[];
let problems: Problem[];

beforeEach(() => {
  scratch = scratchFolder();
  store = Store.create(join(scratch, "store"));
  answers = [];
  problems = [];
});

const arrive = (bytes = content) =>
  writeFileSync(store.objects.path(verityDigestOf(content)), bytes);

function answering(provide: Supply["provide"]): DeferredReplies<ImageContext> {
  const reader = new ObjectReader(openPlaces([store.path]), SharedLeaves.create(8, 1 << 16));
  return new DeferredReplies({
    operations: imageOperations,
    context: { fs: new ImageFileSystem(Image.open(image), reader) },
    supply: { directory: HeldDirectory.open(scratch).share(), provide },
    send: ({ call }, length) => {
      const { unique, error } = OutHeader.decode(call.reply);
      const payload = Buffer.from(call.reply.subarray(OutHeader.size, length));
      answers.push({ unique, error: Math.abs(error), payload });
    },
    onProblem: (problem) => problems.push(problem),
  });
}

function request(unique: bigint, opcode: number, body: Uint8Array): Uint8Array {
  const header = { opcode, unique, nodeid: BigInt(node), uid: 0, gid: 0, pid: 1 };
  const len = InHeader.size + body.length;
  return Buffer.concat([InHeader.encode({ ...header, len, totalExtlen: 0, padding: 0 }), body]);
}

const read = (unique: bigint, offset = 0) => request(unique, Opcode.READ, readIn(offset, 4096));
const interrupt = (unique: bigint) =>
  request(unique | 1n, Opcode.INTERRUPT, InterruptIn.encode({ unique }));

describe("a session that can hand over", () => {
  test("hands over what it cannot read, and what interrupts that; it answers everything else", () => {
    const reader = new ObjectReader(openPlaces([store.path]), SharedLeaves.create(8, 1 << 16));
    const context = { fs: new ImageFileSystem(Image.open(image), reader) };
    const handed: [number, number | undefined][] = [];
    const session = new Session(
      imageOperations,
      context,
      (problem) => problems.push(problem),
      (bytes, reason) => handed.push([InHeader.decode(bytes).opcode, reason?.range?.start]),
    );
    const send = (bytes: Uint8Array) => {
      session.call.request.set(bytes);
      return session.answer(bytes.length);
    };
    expect(send(read(2n, 8192))).toBe(0);
    expect(send(request(4n, Opcode.OPEN, new Uint8Array(8)))).toBe(0);
    expect(send(interrupt(2n))).toBe(0);
    expect(handed).toEqual([
      [Opcode.READ, 8192],
      [Opcode.OPEN, undefined],
      [Opcode.INTERRUPT, undefined],
    ]);
    expect(send(request(6n, Opcode.GETATTR, new Uint8Array(16)))).toBeGreaterThan(OutHeader.size);
    expect(problems).toEqual([]);
  });
});

describe("late answers", () => {
  test("content that comes is read, checked and given out", async () => {
    const asked: unknown[] = [];
    const late = answering(async (file, range) => {
      asked.push([file.digest, file.size, range]);
      await turn();
      arrive();
    });
    await late.take(read(2n, 4096));
    expect(asked).toEqual([[verityDigestOf(content), 20_000, { start: 4096, end: 8192 }]]);
    expect(answers).toEqual([{ unique: 2n, error: 0, payload: content.subarray(4096, 8192) }]);
    expect(problems).toEqual([]);
  });

  test("requests that wait do not get each other's answers", async () => {
    const waiting: (() => void)[] = [];
    const late = answering(() => new Promise((resolve) => waiting.push(resolve)));
    const all = [late.take(read(2n, 0)), late.take(read(4n, 8192)), late.take(read(6n, 16384))];
    expect(late.count).toBe(3);
    arrive();
    for (const resolve of waiting.toReversed()) resolve();
    await Promise.all(all);
    for (const { unique, error, payload } of answers) {
      const at = { 2: 0, 4: 8192, 6: 16384 }[Number(unique)]!;
      expect([error, payload.equals(content.subarray(at, at + 4096))]).toEqual([0, true]);
    }
    expect(answers.length).toBe(3);
    expect(late.count).toBe(0);
  });

  test("what cannot be had is EIO, with the reasons in the log", async () => {
    const late = answering(() => Promise.reject(new Error("mirror a: 404; mirror b: refused")));
    await late.take(read(2n));
    expect(answers).toMatchObject([{ unique: 2n, error: EIO }]);
    expect(problems).toEqual([
      { operation: "READ", nodeid: node, message: "mirror a: 404; mirror b: refused" },
    ]);
  });

  test("content that is wrong when it has come is never given out, and not asked for without end", async () => {
    let times = 0;
    const late = answering(async () => {
      times += 1;
      arrive(Buffer.alloc(content.length, times));
    });
    await late.take(read(2n));
    expect(answers).toMatchObject([{ unique: 2n, error: EIO }]);
    expect(answers[0]!.payload.length).toBe(0);
    expect(times).toBe(3);
  });

  test("a reader that is interrupted gets EINTR at once; the others go on waiting", async () => {
    const waiting: (() => void)[] = [];
    const late = answering(
      (_file, _range, signal) =>
        new Promise((resolve, reject) => {
          waiting.push(resolve);
          signal.addEventListener("abort", () => reject(new Error("aborted")));
        }),
    );
    const first = late.take(read(2n));
    const second = late.take(read(4n, 4096));
    await late.take(interrupt(2n));
    await first;
    expect(answers).toMatchObject([{ unique: 2n, error: EINTR }]);
    arrive();
    for (const resolve of waiting) resolve();
    await second;
    expect(answers[1]).toMatchObject({ unique: 4n, error: 0 });
    expect(problems).toEqual([]);
  });

  test("an interrupt that overtakes its request is remembered; one for nothing does no harm", async () => {
    const late = answering(() => new Promise(() => undefined));
    for (let unique = 100n; unique < 400n; unique += 2n) await late.take(interrupt(unique));
    await late.take(interrupt(2n));
    await late.take(read(2n));
    expect(answers).toMatchObject([{ unique: 2n, error: EINTR }]);
  });

  test("at the end of the mount nobody waits on", async () => {
    const late = answering(
      (_file, _range, signal) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("x")))),
    );
    const all = [late.take(read(2n)), late.take(read(4n, 4096))];
    late.stop();
    await Promise.all(all);
    expect(answers.map(({ error }) => error)).toEqual([EINTR, EINTR]);
  });
});
