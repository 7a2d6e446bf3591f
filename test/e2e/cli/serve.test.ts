/** `sealfs serve` as its user runs it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { Store } from "../../../src/store/store.ts";
import { objectPath, verityDigestOf } from "../../../src/verity/index.ts";
import { bin, sealfs } from "../../support/run.ts";
import { contentOf, publish } from "../../support/store.ts";
import { scratchFolder } from "../../support/scratch.ts";

let scratch: string;
let store: Store;

beforeAll(() => {
  scratch = scratchFolder();
  store = Store.create(join(scratch, "store"));
  publish(store, "app", ["a"]);
});

async function start(...args: string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [bin, "serve", store.path, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { child, url: line.toString().trim() };
}

test("it prints its address, answers, and ends in order with SIGTERM", async () => {
  const { child, url } = await start("--listen", "127.0.0.1:0", "--verbose");
  const content = contentOf("a");
  const answer = await fetch(`${url}objects/${objectPath(verityDigestOf(content))}`);
  expect(Buffer.from(await answer.arrayBuffer()).equals(content)).toBe(true);
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
});

test("an address in use, and what is not an address, are told as such", async () => {
  const { child, url } = await start("--listen", "0");
  const port = new URL(url).port;
  const busy = sealfs(["serve", store.path, "--listen", `127.0.0.1:${port}`]);
  expect([busy.status, busy.stderr]).toEqual([1, expect.stringMatching(/another program listens/)]);
  child.kill("SIGTERM");
  await once(child, "exit");
  for (const address of ["here", "a:b", "127.0.0.1:99999", ""]) {
    const { status, stderr } = sealfs(["serve", store.path, "--listen", address]);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/expected HOST:PORT or PORT/)]);
  }
});

test("what is no store is told as such", () => {
  const { status } = sealfs(["serve", join(scratch, "nothing")]);
  expect(status).toBe(7);
});

test("the store may be named as in other commands, but once", () => {
  const { status, stderr } = sealfs(["serve", "--store", join(scratch, "nothing")]);
  expect([status, stderr]).toEqual([7, expect.stringContaining("nothing")]);
  for (const words of [["serve"], ["serve", store.path, "--store", store.path]]) {
    const refused = sealfs(words);
    expect([refused.status, refused.stderr]).toEqual([
      2,
      expect.stringMatching(/expected one store, got (none|two)\n.*sealfs serve STORE/),
    ]);
  }
});
