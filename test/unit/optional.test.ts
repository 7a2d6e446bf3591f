import { expect, expectTypeOf, test } from "vitest";
import { defined } from "../../src/optional.ts";

test("leaves members out that are undefined, and nothing else", () => {
  const members = { none: undefined, zero: 0, empty: "", no: false, nothing: null };
  expect(Object.keys(defined(members))).toEqual(["zero", "empty", "no", "nothing"]);
});

test("makes optional what may be undefined, and keeps the rest as it is", () => {
  const size: number | undefined = [1][0];
  const made = defined({ name: "a", size });
  expectTypeOf(made.name).toEqualTypeOf<string>();
  const exact: { name: string; size?: number } = made;
  expect(exact).toEqual({ name: "a", size: 1 });
  // @ts-expect-error a member that may be missing is not one that is there
  const wrong: { size: number } = made;
  expect(wrong.size).toBe(1);
});
