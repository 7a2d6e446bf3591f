/** When, until when, and which version. */
import { expect, test } from "vitest";
import { settleValidity } from "../../../src/sign/validity.ts";
import { formatTime } from "../../../src/trust/time.ts";
import { refusal } from "../../support/trust.ts";

const now = new Date("2026-10-01T12:00:00.789Z");
const settle = (request: Parameters<typeof settleValidity>[0]) => {
  const { created, expires, version } = settleValidity(request, now);
  return [formatTime(created), formatTime(expires), version];
};
const seconds = (text: string) => Date.parse(text) / 1000;

test("a statement is created now, for a year, with the seconds as version by default", () => {
  const time = "2026-10-01T12:00:00Z";
  expect(settle({})).toEqual([time, "2027-10-01T12:00:00Z", seconds(time)]);
});

test("SOURCE_DATE_EPOCH replaces the current time, and --created replaces both", () => {
  const epoch = "2026-09-01T00:00:00Z";
  const sourceDateEpoch = String(seconds(epoch));
  expect(settle({ sourceDateEpoch })).toEqual([epoch, "2027-09-01T00:00:00Z", seconds(epoch)]);
  expect(settle({ sourceDateEpoch, created: "2026-09-02" })[0]).toBe("2026-09-02T00:00:00Z");
  expect(settle({ sourceDateEpoch: "" })[0]).toBe("2026-10-01T12:00:00Z");
});

test.each([
  ["90m", "2026-10-01T13:30:00Z"],
  ["36h", "2026-10-03T00:00:00Z"],
  ["30d", "2026-10-31T12:00:00Z"],
  ["2w", "2026-10-15T12:00:00Z"],
  ["2y", "2028-09-30T12:00:00Z"],
  ["2027-01-01", "2027-01-01T00:00:00Z"],
  ["2027-01-01T10:20:30Z", "2027-01-01T10:20:30Z"],
])("expires %s", (expires, time) => {
  expect(settle({ expires })[1]).toBe(time);
});

test("a version may be given", () => {
  expect(settle({ version: "7" })[2]).toBe(7);
  expect(settle({ version: "0" })[2]).toBe(0);
  for (const version of ["-1", "1.5", "07", "9007199254740993", "x", ""]) {
    expect(refusal(() => settle({ version }))).toBe("USAGE");
  }
});

test("text that is not a time is refused", () => {
  for (const expires of ["", "0", "30", "d", "30 d", "-1d", "tomorrow", "2027-02-30"]) {
    expect(refusal(() => settle({ expires }))).toBe("USAGE");
  }
  expect(refusal(() => settle({ expires: "999999999y" }))).toBe("USAGE");
  expect(refusal(() => settle({ created: "yesterday" }))).toBe("USAGE");
  expect(refusal(() => settle({ sourceDateEpoch: "soon" }))).toBe("USAGE");
});

test("an expiry in the past is refused, unless both times were asked for", () => {
  expect(refusal(() => settle({ sourceDateEpoch: "0" }))).toBe("USAGE");
  expect(refusal(() => settle({ expires: "2026-09-30" }))).toBe("USAGE");
  expect(refusal(() => settle({ sourceDateEpoch: "0", expires: "2026-09-30" }))).toBe("USAGE");
  expect(refusal(() => settle({ created: "2020-01-01", expires: "30d" }))).toBe("USAGE");
  expect(settle({ created: "2020-01-01", expires: "2021-01-01" })[1]).toBe("2021-01-01T00:00:00Z");
});

test("an expiry has to be after the creation", () => {
  const created = "2028-01-01T00:00:00Z";
  expect(refusal(() => settle({ created, expires: created }))).toBe("USAGE");
  expect(settle({ created, expires: "2028-01-01T00:00:01Z" })[0]).toBe(created);
});
