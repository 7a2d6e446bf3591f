/** What an image holds, as records, lines and counts. */
import { describe, expect, test } from "vitest";
import { ascii } from "../../../src/bytes/bytestring.ts";
import { Image } from "../../../src/erofs/image.ts";
import { inspectImage } from "../../../src/inspect/inspect-image.ts";
import { summaryLines } from "../../../src/cli/print/inspect.ts";
import { longLine } from "../../../src/cli/print/ls.ts";
import { listFiles, recordOf } from "../../../src/inspect/list-files.ts";
import { verityDigestOf } from "../../../src/verity/index.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { imageOf } from "../../support/small-image.ts";

const digest = "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111";
const bytes = imageOf(
  "/ 0 40755 3 0 0 0 0.0 - - -",
  "/bin 0 41777 2 0 0 0 1700000000.25 - - -",
  `/bin/su 100 104755 2 0 5 0 -1.250000000 25/${digest.slice(2)} - ${digest} user.a=\\xff`,
  "/bin/sx 100 @104755 2 0 0 0 0.0 /bin/su - -",
  "/ebin 0 60640 1 0 0 67108864 9999999999999.0 - - -",
  "/fifo 0 10622 1 0 0 0 0.0 - - -",
  "/l 0 120777 1 0 0 0 0.0 to\\x20\\xff - -",
  "/null 0 20666 1 0 0 259 0.0 - - -",
  "/tiny 3 106711 1 65534 65534 0 0.0 - abc -",
);
const image = Image.open(bytes);
const files = (path = "/", recursive = false) => [...listFiles(image, ascii(path), recursive)];

describe("a listing", () => {
  test("shows the entries of a directory, everything below it, or the file itself", () => {
    const paths = (...args: Parameters<typeof files>) => files(...args).map(({ path }) => path);
    expect(paths("/bin")).toEqual(["/bin/su", "/bin/sx"]);
    expect(paths("/", true)).toEqual([
      "/bin",
      "/bin/su",
      "/bin/sx",
      "/ebin",
      "/fifo",
      "/l",
      "/null",
      "/tiny",
    ]);
    expect(paths("/l")).toEqual(["/l"]);
  });

  test("has lines as ls -l prints them", () => {
    expect(files("/", true).map((file) => longLine(image, file))).toEqual([
      "drwxrwxrwt   2 0 0                 55 2023-11-14T22:13:20Z /bin",
      "-rwsr-xr-x   2 0 5                100 1969-12-31T23:59:59Z /bin/su",
      "-rwsr-xr-x   2 0 5                100 1969-12-31T23:59:59Z /bin/sx",
      "brw-r-----   1 0 0            0,16384        9999999999999 /ebin",
      "prw--w--w-   1 0 0                  0 1970-01-01T00:00:00Z /fifo",
      "lrwxrwxrwx   1 0 0                  4 1970-01-01T00:00:00Z /l -> to \\xff",
      "crw-rw-rw-   1 0 0                1,3 1970-01-01T00:00:00Z /null",
      "-rws--s--x   1 65534 65534            3 1970-01-01T00:00:00Z /tiny",
    ]);
  });

  test("has records that lose nothing", () => {
    const record = (path: string) => recordOf(image, files(path)[0]!);
    expect(record("/bin/su")).toEqual({
      path: "/bin/su",
      type: "file",
      mode: "4755",
      nlink: 2,
      uid: 0,
      gid: 5,
      size: 100,
      mtime: "-0.750000000",
      content: "object",
      digest,
      xattrs: { "user.a": "\\xff" },
    });
    expect(record("/null")).toMatchObject({ type: "character", device: { major: 1, minor: 3 } });
    expect(record("/l")).toMatchObject({ type: "symlink", target: "to \\xff" });
    expect(record("/tiny")).toMatchObject({ content: "inline", size: 3 });
    const huge = Image.open(goldenImage("ext-size-wrap.v1").bytes);
    const [file] = listFiles(huge, ascii("/f"));
    expect(recordOf(huge, file!)).toMatchObject({
      size: "18446744073709551615",
      content: "unverifiable",
    });
  });
});

describe("a summary", () => {
  test("counts inodes, names, files inside and outside the image, and objects", () => {
    expect(inspectImage(image)).toMatchObject({
      size: bytes.length,
      formatVersion: 0,
      flags: [],
      algorithm: "sha256",
      verityDigest: verityDigestOf(bytes),
      buildTime: "-0.750000000",
      inodes: 8 + 256,
      names: {
        files: 3,
        directories: 1,
        symlinks: 1,
        characterDevices: 1,
        blockDevices: 1,
        fifos: 1,
      },
      hardLinked: 1,
      withXattrs: 1,
      inline: { files: 1, bytes: 3 },
      external: { files: 1, bytes: 100 },
      objects: { count: 1, bytes: 100 },
      unverifiable: 0,
    });
  });

  test("names the ACL flag, and counts files whose content cannot be verified", () => {
    const acl = Image.open(goldenImage("acl-access.v1").bytes);
    expect(inspectImage(acl).flags).toEqual(["acl"]);
    const odd = Image.open(goldenImage("ext-no-digest.v1").bytes);
    const summary = inspectImage(odd);
    expect(summary.unverifiable).toBe(1);
    expect(summaryLines(summary).at(-1)).toMatch(/^unverifiable +1 files/);
    expect(summaryLines(summary)[0]).toMatch(/^format +composefs version 1$/);
  });
});
