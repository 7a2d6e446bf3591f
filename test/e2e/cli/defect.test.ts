/** What a command prints when sealfs itself is wrong. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { SystemError } from "../../../src/errors.ts";
import { reportError } from "../../../src/cli/error-report.ts";
import { Output } from "../../../src/cli/terminal/output.ts";
import { sealfs, stillClock } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const preload = fileURLToPath(new URL("../../support/defect.cjs", import.meta.url));
let folder: string;
beforeAll(() => {
  folder = scratchFolder();
  writeFileSync(join(folder, "defect"), "");
});

/** Lines of a trace that lead into `src/`, each with the line of source that it names. */
function framesOf(stderr: string): { name: string; file: string; source: string }[] {
  return Array.from(stderr.matchAll(/^ +at (\S+) \((src\/\S+\.ts):(\d+)\)$/gm), (match) => {
    const [, name, file, line] = match;
    const text = readFileSync(join(root, file!), "utf8");
    return { name: name!, file: file!, source: text.split("\n")[Number(line) - 1]! };
  });
}

test("a defect shows its stack trace in terms of src/, and where to report it", () => {
  const env = { NODE_OPTIONS: `--require ${preload}` };
  const { status, stdout, stderr } = sealfs(["digest", join(folder, "defect")], { env });
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^sealfs: internal error: TypeError: provoked\n/);
  const frames = framesOf(stderr);
  expect(frames[0]?.source).toContain("openSync(");
  const command = frames.find(({ file }) => file === "src/cli/commands/digest.ts");
  expect(command?.source).toContain("digestFile(");
  expect(stderr).not.toContain("dist/bundle");
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(stderr).toContain(`a defect of sealfs ${version}, Node ${process.version}`);
  expect(stderr).toContain("please report it");
});

test("an error that is thrown on purpose, or comes from the system, shows no trace", async () => {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const output = new Output({
    print() {},
    write() {},
    writeSome: () => 0,
    log,
    draw: undefined,
    clock: stillClock,
  });
  const report = (error: unknown) => reportError(error, { output, json: false, pointer: "" });
  await report(new SystemError("IO", "disk: is gone", { hint: "look for it" }));
  await report(Object.assign(new Error("ENOSPC: no space"), { code: "ENOSPC" }));
  expect(lines).toEqual(["sealfs: disk: is gone", "  look for it", "sealfs: ENOSPC: no space"]);
});
