import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { expect, test } from "vitest";
import { exitStatus } from "../../src/cli/exit-status.ts";
import { decodeError, encodeError, errorClasses } from "../../src/error-transfer.ts";
import * as errors from "../../src/errors.ts";
import { ImageRuleError } from "../../src/erofs/image-rules.ts";

const { FetchError, FormatError, NetworkError, SealfsError, SystemError, messagesOf } = errors;

const cause = new Error("connection lost", { cause: new Error("no route") });
const failures = [{ source: "https://m", reason: "status 404" }];
const details = { hint: "ask again", status: 404, retryAfterMs: 1500, failures, cause };

/** Every class with every code; the classes list their codes themselves. */
const all = Object.values(errorClasses).flatMap((Class) =>
  Class.codes.map((code) => new Class(code as never, `what happened: ${code}`, details)),
);

/** An error as the program sees it. */
function seen(error: Error) {
  return {
    class: error.constructor,
    name: error.name,
    messages: messagesOf(error),
    exitStatus: exitStatus(error),
    ...(error instanceof SealfsError && { code: error.code, hint: error.hint }),
    ...(error instanceof NetworkError && {
      status: error.status,
      retryAfterMs: error.retryAfterMs,
      mirrorAtFault: error.mirrorAtFault,
    }),
    ...(error instanceof FetchError && { failures: error.failures }),
  };
}

test("every class of errors.ts can be sent", () => {
  const classes = Object.values(errors).filter(
    (each) => typeof each === "function" && each.prototype instanceof SealfsError,
  );
  expect(new Set(Object.values(errorClasses))).toEqual(new Set(classes));
  for (const [name, Class] of Object.entries(errorClasses)) {
    expect(Class.name).toBe(name);
    expect(Object.hasOwn(Class, "codes")).toBe(true);
  }
});

test.each([
  ["JSON", (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown],
  ["a structured clone", (value: unknown) => structuredClone(value)],
])("every class with every code comes out of %s as it went in", (_, send) => {
  expect(all.length).toBeGreaterThan(80);
  for (const error of all) {
    expect(seen(decodeError(send(encodeError(error)), "test"))).toEqual(seen(error));
  }
});

test("every class with every code comes out of a thread as it went in", async () => {
  const echo = `const { parentPort } = require("node:worker_threads");
    parentPort.once("message", (all) => parentPort.postMessage(all))`;
  const worker = new Worker(echo, { eval: true });
  const answer = new Promise<unknown[]>((resolve) => worker.once("message", resolve));
  worker.postMessage(all.map((error) => encodeError(error)));
  const came = (await answer).map((value) => seen(decodeError(value, "test")));
  expect(came).toEqual(all.map((error) => seen(error)));
});

test("an error without details arrives without details", () => {
  const error = new NetworkError("TIMEOUT", "https://m/o: no answer");
  const came = decodeError(encodeError(error), "test");
  expect(seen(came)).toEqual(seen(error));
  expect(came.cause).toBeUndefined();
});

test("an error of a derived class arrives as its listed class", () => {
  const error = new ImageRuleError("directory.order", 4096, "b before a", { code: "TRUNCATED" });
  const came = decodeError(encodeError(error), "test");
  expect(came).toMatchObject({ name: "FormatError", code: "TRUNCATED", message: error.message });
  expect(came).toBeInstanceOf(FormatError);
});

test("a defect keeps its message and stack, an error of the system its code", () => {
  const defect = new TypeError("x is not a function");
  const came = decodeError(encodeError(defect), "test");
  expect(came).not.toBeInstanceOf(SealfsError);
  expect(came).toMatchObject({ name: "TypeError", message: defect.message, stack: defect.stack });
  const full = Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
  expect(decodeError(encodeError(full), "test")).toMatchObject({ code: "ENOSPC" });
});

test("anything that is thrown can be sent", () => {
  const numbered = Object.assign(new Error("aborted"), { code: 20 });
  for (const thrown of ["text", undefined, null, 5, Symbol("s"), numbered]) {
    const came = decodeError(JSON.parse(JSON.stringify(encodeError(thrown))), "test");
    expect(came).not.toBeInstanceOf(SealfsError);
  }
});

test("as JSON an error is smaller than 64 KiB, whatever its texts", () => {
  const long = "\u0001".repeat(100_000);
  const chain = new Error(`1${long}`, {
    cause: new Error(`2${long}`, {
      cause: new Error(`3${long}`, { cause: new Error(`4${long}`) }),
    }),
  });
  for (const error of [
    new FormatError("LIMIT", long, { hint: long, cause: chain }),
    Object.assign(new TypeError(long, { cause: chain }), { stack: long }),
  ]) {
    const text = JSON.stringify(encodeError(error));
    expect(text.length).toBeLessThan(64 * 1024);
    expect(decodeError(JSON.parse(text), "test").message.length).toBe(4096);
  }
});

const rubbish: [string, unknown][] = [
  ["nothing", undefined],
  ["null", null],
  ["a text", "FormatError"],
  ["an empty object", {}],
  ["no class of ours", { class: "Object", code: "IO", message: "m", causes: [] }],
  ["a property of objects", { class: "constructor", code: "IO", message: "m", causes: [] }],
  ["another class's code", { class: "FormatError", code: "IO", message: "m", causes: [] }],
  ["no message", { class: "SystemError", code: "IO", causes: [] }],
  ["no causes", { class: "SystemError", code: "IO", message: "m" }],
  ["causes that are no texts", { class: "SystemError", code: "IO", message: "m", causes: [1] }],
  ["a hint of numbers", { class: "SystemError", code: "IO", message: "m", causes: [], hint: 1 }],
  ["a status in words", { class: "NetworkError", code: "STATUS", message: "m", causes: [], status: "1" }],
  ["half a failure", { class: "FetchError", code: "ALL_FAILED", message: "m", causes: [], failures: [{ source: "m" }] }],
  ["a defect without name", { message: "m", causes: [] }],
  ["a defect with a stack of numbers", { name: "Error", message: "m", causes: [], stack: 1 }],
]; // prettier-ignore

test.each(rubbish)("%s becomes an error that says so", (_, value) => {
  const came = decodeError(value, "mount server");
  expect(came).toBeInstanceOf(SystemError);
  expect(came).toMatchObject({ code: "IO" });
  expect(came.message).toBe("mount server: sent an error that cannot be read");
});

test("any value becomes an error", () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => {
      expect(decodeError(value, "test")).toBeInstanceOf(Error);
    }),
  );
});
