/** Metrics of a mount as Prometheus reads them, and where they go. */
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs"; // prettier-ignore
import { createServer } from "node:net";
import { request } from "node:http";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { Counters, counterMemory } from "../../../src/fuse/counters.ts";
import { Opcode } from "../../../src/fuse/wire.ts";
import { formatMetrics } from "../../../src/mount/report/metrics.ts";
import { startMetrics } from "../../../src/mount/report/metrics-output.ts";
import { reportOf } from "../../../src/mount/report/report.ts";
import { serveReports } from "../../../src/mount/report/report-server.ts";
import type { MountState } from "../../../src/mount/table/run-state.ts";
import { parseVerityDigest } from "../../../src/verity/verity-digest.ts";
import { scratchFolder } from "../../support/scratch.ts";

const state: MountState = {
  pid: 42,
  target: '/mnt/a "quoted"\\\n',
  image: {
    name: "app:1",
    digest: parseVerityDigest("ab".repeat(32)),
    version: 7,
    created: "2026-01-01T00:00:00Z",
    expires: "2026-06-01T00:00:00Z",
    signedBy: ["SHA256:x"],
  },
  mode: "fuse",
  promise: "block",
  transport: "dev",
  stores: ["/s"],
  since: "2026-03-01T00:00:00Z",
};
const counters = counterMemory(2);
for (const row of [0, 1]) {
  const thread = new Counters(counters, row);
  thread.answered(Opcode.READ, 4096);
  thread.took(Opcode.READ, 0.1);
  thread.took(Opcode.READ, 1_000_000);
  thread.failed("content");
}
const at = (time: string) => reportOf({ state, counters }, new Date(time));

/** One sample per line of the text; the grammar of the format, strictly. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (comment !== null) {
      if (comment[1] === "TYPE") types.set(comment[2]!, comment[3]!);
      continue;
    }
    const sample = /^([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} ([0-9.e+-]+)$/.exec(line); // prettier-ignore
    expect(sample, line).not.toBeNull();
    const [, name = "", labels = "", value = ""] = sample!;
    expect(types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, "")), line).toBe(true);
    const shown = labels.replace(/image="[^"]*",directory="(?:[^"\\]|\\.)*",?/, "");
    samples.set(`${name}{${shown}}`, Number(value));
  }
  return samples;
}

describe("metrics", () => {
  test("say how an image is mounted and what was done", () => {
    const samples = parse(formatMetrics(at("2026-03-01T01:00:00Z")));
    const info = `{digest="${"ab".repeat(32)}",version="7",mode="fuse",promise="block",transport="dev"}`;
    expect(samples.get(`sealfs_mount_info${info}`)).toBe(1);
    expect(samples.get("sealfs_mount_up{}")).toBe(1);
    expect(samples.get('sealfs_requests_total{operation="read"}')).toBe(2);
    expect(samples.get("sealfs_read_bytes_total{}")).toBe(8192);
    expect(samples.get('sealfs_failures_total{cause="content"}')).toBe(2);
    expect(samples.get('sealfs_failures_total{cause="missing"}')).toBe(0);
    expect(samples.get("sealfs_image_expired{}")).toBe(0);
  });

  test("have histograms that only grow, up to the count", () => {
    const samples = parse(formatMetrics(at("2026-03-01T01:00:00Z")));
    const name = "sealfs_request_duration_seconds";
    const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket{kind="read"`));
    const values = buckets.map(([, value]) => value);
    expect(values).toEqual(values.toSorted((a, b) => a - b));
    expect(buckets.at(-1)).toEqual([`${name}_bucket{kind="read",le="+Inf"}`, 4]);
    expect(values.at(-2)).toBe(2); // 1000 seconds are beyond every class
    expect(samples.get(`${name}_count{kind="read"}`)).toBe(4);
    expect(samples.get(`${name}_bucket{kind="read",le="0.000064"}`)).toBe(0);
    expect(samples.get(`${name}_bucket{kind="read",le="0.000128"}`)).toBe(2);
  });

  test("show that an image has expired, from that moment on", () => {
    const expired = (time: string) => parse(formatMetrics(at(time))).get("sealfs_image_expired{}");
    expect(expired("2026-05-31T23:59:59Z")).toBe(0);
    expect(expired("2026-06-01T00:00:00Z")).toBe(1);
  });

  test("of a mount that the kernel serves alone have no counts", () => {
    const text = formatMetrics(reportOf({ state, counters: undefined }));
    expect(parse(text).has("sealfs_mount_up{}")).toBe(true);
    expect(text).not.toContain("_total");
  });
});

describe("where they go", () => {
  let scratch: string;
  beforeEach(() => {
    scratch = scratchFolder();
  });
  const report = () => at("2026-03-01T01:00:00Z");
  const get = async (socketPath: string, path: string) =>
    new Promise<[number | undefined, string]>((resolve, reject) => {
      request({ socketPath, path }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve([response.statusCode, text]));
      })
        .on("error", reject)
        .end();
    });

  test("a file has them at once, and at the end says that the mount is gone", async () => {
    const path = join(scratch, "m.prom");
    const output = await startMetrics(path, report, () => expect.unreachable());
    expect(parse(readFileSync(path, "utf8")).get("sealfs_mount_up{}")).toBe(1);
    output.close();
    expect(parse(readFileSync(path, "utf8")).get("sealfs_mount_up{}")).toBe(0);
    expect(readdirSync(scratch)).toEqual(["m.prom"]);
  });

  test("a file that cannot be written is told once, and nothing half-written stays", async () => {
    const told: string[] = [];
    const output = await startMetrics(join(scratch, "no/m"), report, (line) => told.push(line));
    output.close();
    expect(told).toHaveLength(1);
    mkdirSync(join(scratch, "directory"));
    (await startMetrics(join(scratch, "directory"), report, () => undefined)).close();
    expect(readdirSync(scratch)).toEqual(["directory"]);
  });

  test("a socket answers for metrics and status, and goes away", async () => {
    const path = join(scratch, "s");
    const output = await startMetrics(`unix:${path}`, report, () => expect.unreachable());
    const [status, text] = await get(path, "/metrics");
    expect(status).toBe(200);
    expect(parse(text).get("sealfs_mount_up{}")).toBe(1);
    expect(JSON.parse((await get(path, "/status"))[1])).toMatchObject({ pid: 42, expired: false });
    expect((await get(path, "/etc/passwd"))[0]).toBe(404);
    output.close();
    expect(readdirSync(scratch)).toEqual([]);
  });

  test("a socket of a dead server is replaced; of a living one, and other files, are not", async () => {
    const path = join(scratch, "s");
    const living = createServer().listen(path);
    await new Promise((resolve) => living.once("listening", resolve));
    await expect(serveReports(path, report)).rejects.toThrow(/in use/);
    // The same name leads to a socket that nobody listens on.
    const dead = join(scratch, "dead");
    const script = `require("net").createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, "SIGKILL"))`;
    const { spawnSync } = await import("node:child_process");
    spawnSync(process.execPath, ["-e", script]);
    expect(readdirSync(scratch)).toContain("dead");
    (await serveReports(dead, report)).close();
    living.close();
    const file = join(scratch, "file");
    writeFileSync(file, "mine");
    symlinkSync(file, join(scratch, "link"));
    for (const name of ["file", "link"]) {
      await expect(serveReports(join(scratch, name), report)).rejects.toThrow(/another file/);
    }
    expect(readFileSync(file, "utf8")).toBe("mine");
  });
});
