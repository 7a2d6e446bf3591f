import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import { formatSource, parseSource } from "../../../src/oci/reference.ts";

const A = "a".repeat(64);

describe("a source in transport notation", () => {
  test.each([
    ["oci:dir", { transport: "oci", path: "dir" }],
    ["oci:dir:latest", { transport: "oci", path: "dir", tag: "latest" }],
    ["oci:dir:host:5000/a/b:1.0", { transport: "oci", path: "dir", tag: "host:5000/a/b:1.0" }],
    ["oci:dir:@2", { transport: "oci", path: "dir", index: 2 }],
    [`oci:dir@sha256:${A}`, { transport: "oci", path: "dir", digest: `sha256:${A}` }],
    [
      `oci:dir@sha256:@sha256:${A}`,
      { transport: "oci", path: "dir@sha256", digest: `sha256:${A}` },
    ],
    ["oci:dir@sha256:@3", { transport: "oci", path: "dir@sha256", index: 3 }],
    [`oci:dir:@sha256:${A}`, { transport: "oci", path: "dir", digest: `sha256:${A}` }],
    ["oci:user@host", { transport: "oci", path: "user@host" }],
    ["oci-archive:/a/b.tar:v1", { transport: "oci-archive", path: "/a/b.tar", tag: "v1" }],
    ["docker-archive:b.tar:@0", { transport: "docker-archive", path: "b.tar", index: 0 }],
    ["docker-archive:b.tar:a/b:c", { transport: "docker-archive", path: "b.tar", tag: "a/b:c" }],
    ["tar:a.tar", { transport: "tar", paths: ["a.tar"] }],
    ["tar:a.tar,b.tar.gz", { transport: "tar", paths: ["a.tar", "b.tar.gz"] }],
    ["dir:/a:b", { transport: "dir", path: "/a:b" }],
    ["dump:x.dump", { transport: "dump", path: "x.dump" }],
    ["image.tar", { transport: "path", path: "image.tar" }],
    ["./odd:name", { transport: "path", path: "./odd:name" }],
    ["-", { transport: "stdin" }],
  ])("%s", (text, expected) => {
    const reference = parseSource(text);
    expect(JSON.parse(JSON.stringify(reference))).toEqual(expected);
    expect(parseSource(formatSource(reference))).toEqual(reference);
  });

  test.each([
    "",
    "oci:",
    "oci::tag",
    "oci:dir:",
    "oci:dir:@",
    "oci:dir:@-1",
    "oci:dir:@01",
    `oci:dir@sha256:${A.slice(1)}`,
    `oci:dir:@sha256:${A.toUpperCase()}`,
    "oci:dir:@md5:00",
    "tar:",
    "tar:a,,b",
    "dir:",
    "docker-daemon:name:tag",
    "containers-storage:name",
    "a\0b",
  ])("%j is refused", (text) => {
    expect(() => parseSource(text)).toThrow(UsageError);
  });

  test.each([
    ["containers-storage:localhost/x", "skopeo copy containers-storage:localhost/x oci-archive:"],
    ["docker-daemon:x:1", "skopeo copy docker-daemon:x:1 oci-archive:"],
    ["sif:x.sif", "skopeo copy sif:x.sif oci-archive:"],
    ["ostree:x@/repo", "ostree checkout"],
    ["ostree-unverified-registry:quay.io/x", "docker://HOST/NAME"],
    ["static:x", "docker://HOST/NAME"],
    ["oci-layout:dir:tag", "oci:dir:tag"],
    ["ocidir://dir", "oci:dir"],
    ["file:///a/b.tar", "name the file itself: /a/b.tar"],
    ["https://host/a.tar", "curl -L https://host/a.tar | sealfs build -"],
    ["DOCKER://host/a", "docker://host/a"],
    ["oras://host/a", "docker://host/a"],
    ["s3://bucket/a", "expected docker://, oci:, oci-archive:"],
  ])("%s is another tool's, and the hint says what to do", (text, hint) => {
    expect(() => parseSource(text)).toThrow(
      expect.objectContaining({
        name: "UsageError",
        hint: expect.stringContaining(hint) as string,
      }),
    );
  });

  test("any text is a reference or a usage error", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.constantFrom("", "oci:", "docker-archive:", "tar:"),
        (text, transport) => {
          try {
            const reference = parseSource(transport + text);
            expect(parseSource(formatSource(reference))).toEqual(reference);
          } catch (error) {
            expect(error).toBeInstanceOf(UsageError);
          }
        },
      ),
    );
  });
});
