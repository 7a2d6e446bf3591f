import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RequestSource } from "../../../src/fuse/request-source.ts";
import { hasLibc } from "../../../src/sys/koffi.ts";
import { EAGAIN } from "../../../src/sys/reading.ts";
import { scratchFolder } from "../../support/scratch.ts";

/** Messages of this size are what a FIFO gives as a whole, as /dev/fuse does. */
const SIZE = 8;

describe("a source of requests", () => {
  let folder: string;
  let there: number;
  let here: number;
  let echo: ChildProcess | undefined;
  const request = Buffer.alloc(SIZE);

  beforeEach(() => {
    folder = scratchFolder();
    const [one, other] = ["there", "here"].map((name) => {
      execFileSync("mkfifo", [join(folder, name)]);
      return openSync(join(folder, name), constants.O_RDWR); // does not wait for the other end
    });
    [there, here] = [one!, other!];
  });
  afterEach(() => {
    echo?.kill("SIGKILL");
    closeSync(there);
    closeSync(here);
  });

  const message = (i: number) => String(i).padStart(SIZE);
  const got = (source: RequestSource) => {
    expect(source.next(request)).toBe(SIZE);
    return request.toString();
  };

  test.each([
    ["others work", () => false],
    ["no other thread works", () => true],
  ])("gives each, be it there already or still to come, while %s", (_, isAlone) => {
    const paths = [join(folder, "there"), join(folder, "here")];
    echo = spawn("sh", ["-c", 'exec dd bs=8 status=none <"$0" >"$1"', ...paths]);
    const source = new RequestSource(here, isAlone);
    for (let i = 0; i < 300; i++) {
      const isThere = i % 3 === 0;
      writeSync(isThere ? here : there, message(i));
      expect(got(source)).toBe(message(i));
    }
  });

  test.skipIf(!hasLibc() || availableParallelism() === 1)(
    "goes on when another has made the descriptor not wait",
    () => {
      const [first, second] = [0, 1].map(() => new RequestSource(here, () => true));
      for (let i = 0; i < 70; i++) {
        writeSync(here, message(i));
        expect(got(first!)).toBe(message(i));
      }
      expect(second!.next(request)).toBe(-EAGAIN);
      writeSync(here, message(70));
      expect(got(second!)).toBe(message(70));
    },
  );

  test("tells why there are none", () => {
    const directory = openSync(folder, "r");
    try {
      expect(new RequestSource(directory, () => true).next(request)).toBeLessThan(0);
    } finally {
      closeSync(directory);
    }
  });
});
