import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeError } from "../../../src/error-transfer.ts";
import { NotFoundError, SystemError } from "../../../src/errors.ts";
import { parseServerStatus } from "../../../src/mount/server/server-status.ts";

const live = { transport: "dev", device: "0:55", log: "/run/sealfs/0-55.log" };

test("a live mount is described as its server did", () => {
  expect(parseServerStatus(JSON.stringify({ live }))).toEqual(live);
  const kernel = { device: "0:55" };
  expect(parseServerStatus(JSON.stringify({ live: kernel }))).toEqual(kernel);
});

test("a server's error is thrown as it was", () => {
  const error = new NotFoundError("NO_FILE", "/nowhere: not there", { hint: "name another" });
  const thrown = thrownBy(() => parseServerStatus(JSON.stringify({ error: encodeError(error) })));
  expect(thrown).toBeInstanceOf(NotFoundError);
  expect(thrown).toMatchObject({ code: "NO_FILE", message: error.message, hint: error.hint });
});

test.each([
  "{",
  "null",
  "[]",
  "{}",
  JSON.stringify({ live: null }),
  JSON.stringify({ live: { ...live, device: undefined } }),
  JSON.stringify({ live: { ...live, device: "../../etc" } }),
  JSON.stringify({ live: { ...live, transport: "pigeon" } }),
  JSON.stringify({ live: { ...live, log: 1 } }),
])("%s is refused with its text", (text) => {
  const thrown = thrownBy(() => parseServerStatus(text));
  expect(thrown).toBeInstanceOf(SystemError);
  const message = `mount server: expected its status, got ${JSON.stringify(text)}`;
  expect(thrown).toMatchObject({ code: "IO", message });
});

test("an error of the wrong form is refused, too", () => {
  const thrown = thrownBy(() => parseServerStatus(JSON.stringify({ error: { code: 7 } })));
  expect(thrown).toBeInstanceOf(SystemError);
  expect((thrown as Error).message).toBe("mount server: sent an error that cannot be read");
});

test("any text is a status or a SystemError", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(thrownBy(() => parseServerStatus(text))).toBeInstanceOf(SystemError);
    }),
  );
});

function thrownBy(work: () => unknown): unknown {
  try {
    return void work();
  } catch (error) {
    return error;
  }
}
