/** Asking the server of a mount for its report, whatever answers there. */
import { createServer } from "node:http";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { limits } from "../../../src/limits.ts";
import { askReport } from "../../../src/mount/report/report-client.ts";
import { scratchFolder } from "../../support/scratch.ts";

async function ask(answer: Uint8Array) {
  const path = join(scratchFolder(), "report.sock");
  const server = createServer((_, response) => response.end(answer));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  return askReport(path);
}

test("a report is read up to its limit", async () => {
  const report = (bytes: number) => Buffer.alloc(bytes, " ").fill('{"a":1}', 0, 7);
  expect(await ask(report(limits.reportBytes))).toEqual({ a: 1 });
  expect(await ask(report(limits.reportBytes + 1))).toBe("silent");
});

test("what is no report is silence, and where nobody listens the server is dead", async () => {
  expect(await ask(Buffer.from("hello"))).toBe("silent");
  expect(await askReport(join(scratchFolder(), "nobody.sock"))).toBe("dead");
});
