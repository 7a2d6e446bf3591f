/** How people write what they want of a mount: owners, lists of options, directories of an image. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Image } from "../../../src/erofs/image.ts";
import { NotFoundError, UsageError } from "../../../src/errors.ts";
import { isForMount, parseFstabOptions } from "../../../src/mount/fstab-options.ts";
import { parseIdmap } from "../../../src/mount/idmap-text.ts";
import { directoryIn } from "../../../src/mount/subdir.ts";
import { imageOf, inodeAt } from "../../support/small-image.ts";

describe("a map of owners", () => {
  test("is for users and groups unless it says which, several with spaces or one by one", () => {
    const range = (inside: number, outside: number, count: number) => ({ inside, outside, count });
    expect(parseIdmap(["0:1000:1"])).toEqual({
      uids: [range(0, 1000, 1)],
      gids: [range(0, 1000, 1)],
    });
    expect(parseIdmap(["u:0:1000:1 g:0:100:5", "b:7:7:1"])).toEqual({
      uids: [range(0, 1000, 1), range(7, 7, 1)],
      gids: [range(0, 100, 5), range(7, 7, 1)],
    });
    expect(parseIdmap(["0:0:4294967295"]).uids).toEqual([range(0, 0, 4_294_967_295)]);
  });

  test.each([
    ["nothing", [], /users: expected at least one entry/],
    ["users only", ["u:0:1:1"], /groups: expected at least one entry/],
    ["two numbers", ["0:1"], /0:1: expected \[u:\|g:\]ID:SHOWN:COUNT/],
    ["a negative id", ["-1:0:1"], /expected \[u:/],
    ["another letter", ["x:0:1:1"], /expected \[u:/],
    ["no ids at all", ["0:1:0"], /expected ids below/],
    ["an id beyond 32 bits", ["0:4294967295:1"], /expected ids below/],
    ["ids that are in two entries", ["0:100:10", "9:200:1"], /id 9 is in two entries/],
    ["ids that are shown twice", ["0:100:10", "20:109:1"], /id 109 is in two entries/],
    ["more than the kernel takes", Array.from({ length: 341 }, (_, i) => `${i}:${i}:1`), /at most 340/], // prettier-ignore
  ])("is not %s", (_, entries, message) => {
    expect(() => parseIdmap(entries)).toThrow(UsageError);
    expect(() => parseIdmap(entries)).toThrow(message);
  });
});

describe("options of mount(8)", () => {
  test("are separated by commas that are not in quotes", () => {
    expect(parseFstabOptions('ro,store=/s,key="/a,b",,empty=,flag')).toEqual([
      { name: "ro", value: undefined },
      { name: "store", value: "/s" },
      { name: "key", value: "/a,b" },
      { name: "empty", value: "" },
      { name: "flag", value: undefined },
    ]);
    expect(parseFstabOptions("a=b=c")).toEqual([{ name: "a", value: "b=c" }]);
    expect(parseFstabOptions("")).toEqual([]);
  });

  test("come back as they were written", () => {
    const word = fc.stringMatching(/^[a-z_.]{1,8}$/);
    const value = fc.stringMatching(/^[ -!#-~]{0,12}$/); // anything but a quote
    fc.assert(
      fc.property(fc.array(fc.record({ name: word, value })), (options) => {
        const text = options.map(({ name, value: text }) => `${name}="${text}"`).join(",");
        expect(parseFstabOptions(text)).toEqual(options);
      }),
    );
  });

  test("that are for others are left to them, and none that matters to a mount is", () => {
    for (const name of [
      "nofail",
      "_netdev",
      "x-systemd.requires",
      "X-mount.noloop",
      "comment",
      "user",
      "noatime",
    ])
      // prettier-ignore
      expect(isForMount(name), name).toBe(true);
    for (const name of [
      "suid",
      "X-mount.mkdir",
      "X-mount.owner",
      "x-mount.mkdir",
      "dev",
      "noexec",
      "store",
      "key",
      "require",
      "remount",
      "xyz",
      "comments",
    ])
      // prettier-ignore
      expect(isForMount(name), name).toBe(false);
  });
});

describe("a directory of an image", () => {
  const bytes = imageOf(
    "/ 4096 40755 2 0 0 0 1.0 - - -",
    "/srv 4096 40755 2 0 0 0 1.0 - - -",
    "/srv/www 4096 40755 2 0 0 0 1.0 - - -",
    "/srv/file 0 100644 1 0 0 0 1.0 - - -",
    "/srv/link 3 120777 1 0 0 0 1.0 www - -",
  );
  const image = Image.open(bytes);

  test.each([
    ["srv/www", "/srv/www"],
    ["/srv//www/", "/srv/www"],
    ["./srv/.", "/srv"],
    ["/", "/"],
  ])("%s is found", (path, expected) => {
    expect(directoryIn(image, path)).toBe(inodeAt(bytes, expected).nid);
  });

  test.each([
    ["/srv/none", NotFoundError, /directory \/srv\/none of the image: not there/],
    ["/srv/link", UsageError, /\/srv\/link of the image: it is a symbolic link/],
    ["/srv/link/x", UsageError, /it is a symbolic link/],
    ["/srv/file", UsageError, /it is not a directory/],
    ["/srv/../srv", UsageError, /expected no \.\./],
    ["/00", NotFoundError, /not there/], // a stub, which nobody sees
  ])("%s is refused", (path, kind, message) => {
    expect(() => directoryIn(image, path)).toThrow(kind);
    expect(() => directoryIn(image, path)).toThrow(message);
  });
});
