import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type ByteString,
  ascii,
  fromText,
  toByteString,
  toBytes,
} from "../../../src/bytes/bytestring.ts";
import { NotFoundError, SystemError } from "../../../src/errors.ts";
import { errnoError, hasLibc, loadLibc } from "../../../src/sys/koffi.ts";
import { getXattr, listXattrs, readXattrs, setXattr } from "../../../src/sys/xattr.ts";
import { scratchFolder } from "../../support/scratch.ts";

// Security modules add attributes of their own to every file.
const userXattrs = (path: ByteString) =>
  listXattrs(path).filter((name) => name.startsWith("user."));

// koffi is an optional dependency: without a build for this platform there is nothing to test.
describe.skipIf(!hasLibc())("extended attributes (needs koffi)", () => {
  let folder: string;
  beforeAll(() => {
    folder = scratchFolder();
  });

  test("values with every byte and names of any bytes come back as they were", (context) => {
    const path = toByteString(
      Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xe9])]),
    );
    writeFileSync(Buffer.from(toBytes(path)), "x");
    const every = toByteString(Uint8Array.from({ length: 256 }, (_, i) => i));
    try {
      setXattr(path, ascii("user.every"), every);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      context.skip(`${tmpdir()} has no user xattrs: ${error.message}`);
    }
    setXattr(path, ascii("user.empty"), ascii(""));
    const odd = toByteString(Uint8Array.from([...Buffer.from("user.\xff"), 0x3d, 0x80]));
    setXattr(path, odd, ascii("v"));
    expect(getXattr(path, ascii("user.every"))).toBe(every);
    expect(userXattrs(path).toSorted()).toEqual([ascii("user.empty"), ascii("user.every"), odd]);
    expect(new Map([...readXattrs(path)].filter(([name]) => name.startsWith("user.")))).toEqual(
      new Map([
        [ascii("user.every"), every],
        [ascii("user.empty"), ascii("")],
        [odd, ascii("v")],
      ]),
    );
    const link = join(folder, "link");
    symlinkSync("nowhere", link);
    expect(userXattrs(fromText(link))).toEqual([]);
  });

  test("a file without attributes, a missing attribute and a missing file differ", () => {
    const path = join(folder, "plain");
    writeFileSync(path, "");
    expect(userXattrs(fromText(path))).toEqual([]);
    expect(getXattr(fromText(path), ascii("user.none"))).toBeUndefined();
    expect(() => listXattrs(fromText(join(folder, "missing")))).toThrow(NotFoundError);
    expect(() => setXattr(fromText(path), ascii("nonsense"), ascii("v"))).toThrow(SystemError);
  });

  test("errno of a failed call becomes a typed error", () => {
    const libc = loadLibc();
    const close = libc.func<[number]>("int close(int fd)");
    expect(close(-1)).toBe(-1);
    expect(errnoError(libc.errno(), "close")).toMatchObject({
      code: "IO",
      message: "close: EBADF",
    });
    expect(errnoError(2, "open x")).toBeInstanceOf(NotFoundError);
    for (const [errno, code] of [
      [1, "PERMISSION"],
      [13, "PERMISSION"],
      [30, "READ_ONLY"],
      [28, "NO_SPACE"],
      [16, "BUSY"],
      [99999, "IO"],
    ] as const) {
      expect(errnoError(errno, "call")).toMatchObject({ code });
    }
  });
});
