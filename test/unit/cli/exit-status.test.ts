/** The table of exit statuses. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exitStatus, exitStatuses } from "../../../src/cli/exit-status.ts";
import { errorClasses } from "../../../src/error-transfer.ts";
import { NetworkError, type SealfsError } from "../../../src/errors.ts";

test("the README has the same table", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  const section = readme.split(/^## /m).find((text) => text.startsWith("Exit statuses"))!;
  const rows = Array.from(
    section.matchAll(/^\| (\d+) +\| (.*?) +\|$/gm),
    ([, status, meaning]) => ({
      status: Number(status),
      meaning,
    }),
  );
  expect(rows).toEqual(
    Object.values(exitStatuses).map(({ status, meaning }) => ({ status, meaning })),
  );
});

test("each class of errors has its status, and anything else is a failure", () => {
  const statuses = Object.entries(errorClasses).map(([name, Class]) => {
    const make = Class as new (code: string, message: string) => SealfsError;
    const given = Class.codes
      .filter((code) => !(Class === NetworkError && code === "NOT_FOUND"))
      .map((code) => exitStatus(new make(code, "")));
    return [name, ...new Set(given)];
  });
  expect(statuses).toEqual([
    ["FormatError", 3],
    ["IntegrityError", 4],
    ["TrustError", 5],
    ["NetworkError", 6],
    ["FetchError", 6],
    ["NotFoundError", 7],
    ["UsageError", 2],
    ["SystemError", 1],
  ]);
  expect(exitStatus(new NetworkError("NOT_FOUND", ""))).toBe(7);
  expect(exitStatus(new TypeError("a defect"))).toBe(1);
});
