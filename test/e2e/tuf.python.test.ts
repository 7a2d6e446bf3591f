/**
 * TUF repositories made by python-tuf, the reference implementation, and its client's verdict on each,
 * compared with ours step by step.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { SealfsError } from "../../src/errors.ts";
import { openPlace } from "../../src/tuf/place.ts";
import { updateRepository } from "../../src/tuf/update.ts";
import { oracle } from "../support/oracle.ts";
import { scratchFolder } from "../support/scratch.ts";

interface Step {
  folder: string;
  verdict: string;
  target: string | null;
  versions: Record<string, number>;
}
interface Scenario {
  name: string;
  target: string;
  steps: Step[];
}

const python = oracle("python3-sid");
const folder = scratchFolder();

function scenarios(): Scenario[] {
  if (python === undefined) return [];
  const script = fileURLToPath(new URL("../support/tuf-scenarios.py", import.meta.url));
  return JSON.parse(execFileSync(python, [script, folder], { encoding: "utf8" })) as Scenario[];
}

/** Those in which we are stricter on purpose, or tuf-js is. */
const stricter = new Set<string>();

describe.skipIf(python === undefined)("python-tuf (skipped without .ci/oracles)", () => {
  const all = scenarios();

  test("makes repositories of every kind, good and bad", () => {
    const verdicts = new Set(all.flatMap(({ steps }) => steps.map(({ verdict }) => verdict)));
    expect(all.length).toBeGreaterThan(50);
    expect(verdicts.size).toBeGreaterThan(4);
  });

  test.each(all)("agrees about $name", async ({ name, target, steps }) => {
    const memory = join(folder, `${name}.memory`);
    mkdirSync(memory);
    const root = readFileSync(join(folder, `${name}.root.json`));
    for (const [i, step] of steps.entries()) {
      const place = openPlace(step.folder);
      let got: string | null = null;
      let verdict = "good";
      try {
        const bytes = await updateRepository({ place, folder: memory, root }, new Date(), (r) =>
          r.target(target),
        );
        got = bytes === undefined ? null : Buffer.from(bytes).toString();
      } catch (error) {
        if (!(error instanceof SealfsError)) throw error;
        verdict = error.code;
      }
      const versions = Object.fromEntries(
        ["root", "timestamp", "snapshot", "targets"].flatMap((role) => {
          const file = join(memory, `${role}.json`);
          if (!existsSync(file)) return [];
          return [[role, JSON.parse(readFileSync(file, "utf8")).signed.version as number]];
        }),
      );
      const where = `step ${i}: python-tuf says ${step.verdict}, we say ${verdict}`;
      if (stricter.has(name) && verdict !== "good") continue;
      expect(verdict === "good", where).toBe(step.verdict === "good");
      expect(got, where).toBe(step.target);
      expect(versions, where).toEqual(step.versions);
    }
  });
});
