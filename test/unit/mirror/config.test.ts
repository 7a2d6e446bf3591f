/** Where mirrors are, the file of mirrors, rate limits, patterns of paths. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromText } from "../../../src/bytes/bytestring.ts";
import { FormatError, SealfsError, UsageError } from "../../../src/errors.ts";
import { PathPattern } from "../../../src/fetch/path-pattern.ts";
import { limits } from "../../../src/limits.ts";
import { parseLocation } from "../../../src/mirror/location.ts";
import { mirrorsFields, parseMirrors } from "../../../src/mirror/mirrors-file.ts";
import { limitRate } from "../../../src/mirror/rate-limit.ts";
import { FakeSource, readWhole, wanted } from "../../support/fake-source.ts";

const parse = (value: unknown) =>
  parseMirrors(Buffer.from(JSON.stringify(value)), "/etc/sealfs", "mirrors.json");
const codeOf = (action: () => unknown) => {
  try {
    action();
  } catch (error) {
    if (error instanceof SealfsError) return `${error.name} ${error.code}`;
    throw error;
  }
  return "accepted";
};

describe("a location", () => {
  test.each([
    ["/srv/store", { kind: "path", path: "/srv/store" }],
    ["a:b/c", undefined],
    ["oci:/srv/layout", { kind: "layout", path: "/srv/layout" }],
    ["oci-archive:a.tar", { kind: "archive", path: "a.tar" }],
    ["docker://r.example:5000/app", { kind: "registry", reference: "docker://r.example:5000/app" }],
    ["oci:", undefined],
    ["", undefined],
    ["https://", undefined],
    ["https://u@m.example/", undefined],
    ["https://m.example/#x", undefined],
  ])("%j", (text, expected) => {
    if (expected === undefined) expect(() => parseLocation(text)).toThrow(UsageError);
    else expect(parseLocation(text)).toEqual(expected);
  });

  test("of a web server ends with a slash, so that names can be added", () => {
    const location = parseLocation("https://m.example/a/b");
    expect(location).toMatchObject({ kind: "http" });
    expect("url" in location && location.url.href).toBe("https://m.example/a/b/");
    expect(parseLocation("oci:https://m.example/a")).toMatchObject({ kind: "http-layout" });
  });
});

describe("a file of mirrors", () => {
  test("gives its mirrors in order", () => {
    const mirrors = parse({
      $schema: "x",
      comment: "ours",
      mirrors: [
        { location: "share" },
        {
          location: "https://m.example/s",
          names: ["r.example/**"],
          caFile: "ca.pem",
          authFile: "/run/auth.json",
          rateLimit: 5000,
          insecure: false,
          comment: "fast",
        },
      ],
    });
    expect(mirrors[0]).toEqual({ location: { kind: "path", path: "/etc/sealfs/share" } });
    expect(mirrors[1]).toMatchObject({
      caFile: "/etc/sealfs/ca.pem",
      authFile: "/run/auth.json",
      rateLimit: 5000,
      insecure: false,
    });
    expect(mirrors[1]!.names![0]!.matches("r.example/app:1")).toBe(true);
    expect(mirrors[1]!.names![0]!.matches("other.example/app:1")).toBe(false);
  });

  test.each([
    ["an unknown field", { mirrors: [], priority: 1 }],
    ["an unknown field of a mirror", { mirrors: [{ location: "x", url: "y" }] }],
    ["no mirrors", {}],
    ["a mirror without a place", { mirrors: [{}] }],
    ["credentials in a URL", { mirrors: [{ location: "https://a:b@m.example/" }] }],
    ["a pattern of another language", { mirrors: [{ location: "x", names: ["r[ab]"] }] }],
    ["a name that is no text", { mirrors: [{ location: "x", names: [1] }] }],
    ["a limit that stops everything", { mirrors: [{ location: "x", rateLimit: 100 }] }],
    ["a flag that is no boolean", { mirrors: [{ location: "x", insecure: "yes" }] }],
    ["null", null],
    [
      "too many",
      { mirrors: Array.from({ length: limits.mirrors + 1 }, () => ({ location: "x" })) },
    ],
    [
      "too many names",
      { mirrors: [{ location: "x", names: Array(limits.mirrorNames + 1).fill("a") }] },
    ],
  ])("with %s is refused", (_, value) => {
    expect(codeOf(() => parse(value))).toMatch(/^FormatError/);
  });

  test("may be as large as its limits say", () => {
    const most = Array.from({ length: limits.mirrors }, () => ({ location: "x" }));
    expect(parse({ mirrors: most })).toHaveLength(limits.mirrors);
    const names = Array(limits.mirrorNames).fill("a");
    expect(parse({ mirrors: [{ location: "x", names }] })[0]!.names).toHaveLength(names.length);
    const padded = (bytes: number) => () =>
      parseMirrors(Buffer.from('{"mirrors":[]}'.padEnd(bytes)), "/", "f");
    expect(padded(limits.mirrorsBytes)()).toEqual([]);
    expect(padded(limits.mirrorsBytes + 1)).toThrow(FormatError);
  });

  test("is any bytes: mirrors, or a FormatError", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(codeOf(() => parseMirrors(Buffer.from(text), "/", "f"))).toMatch(
          /^(accepted|FormatError)/,
        );
      }),
    );
  });

  test("has a schema that names the same fields", () => {
    const path = join(import.meta.dirname, "../../../keys/mirrors.schema.json");
    const schema = JSON.parse(readFileSync(path, "utf8"));
    expect(Object.keys(schema.properties).sort()).toEqual([...mirrorsFields.file].sort());
    const mirror = schema.properties.mirrors.items;
    expect(Object.keys(mirror.properties).sort()).toEqual([...mirrorsFields.mirror].sort());
    expect([schema.additionalProperties, mirror.additionalProperties]).toEqual([false, false]);
  });
});

test("a limited source keeps to its limit, and gives the same bytes", async () => {
  const content = Buffer.alloc(30_000, "limited ");
  const source = limitRate(new FakeSource("m", [content]), 100_000);
  const start = performance.now();
  const attempt = { signal: new AbortController().signal, progress: () => undefined };
  expect(await readWhole(source, wanted(content), attempt)).toEqual(content);
  expect(performance.now() - start).toBeGreaterThanOrEqual(280);
});

test.each([
  ["/usr/bin/cat", "/usr/bin/cat", true],
  ["usr/bin/cat", "/usr/bin/cat", true],
  ["/usr/bin", "/usr/bin/cat", true],
  ["/usr/bin/", "/usr/bin/cat", true],
  ["/usr/bin", "/usr/binary", false],
  ["/usr/*/cat", "/usr/bin/cat", true],
  ["/usr/*", "/usr/bin/cat", true],
  ["/*/cat", "/usr/bin/cat", false],
  ["**/cat", "/usr/bin/cat", true],
  ["**/cat", "/cat", true],
  ["/usr/**/*.so", "/usr/lib/a/b.so", true],
  ["/usr/**/*.so", "/usr/b.so", true],
  ["/usr/**/*.so", "/usr/b.so.1", false],
  ["/a?c", "/abc", true],
  ["/a?c", "/ac", false],
  ["/a\\*c", "/a*c", true],
  ["/a\\*c", "/abc", false],
  ["/a\\xffc", "/a\xffc", true],
  ["/", "/anything", true],
  ["/**", "/anything", true],
  ["/a*a*a*a*a*a*a*a*b", `/${"a".repeat(200)}`, false],
])("pattern %j against %j: %j", (pattern, path, expected) => {
  expect(new PathPattern(pattern).matches(path as never)).toBe(expected);
});

test("patterns are of characters, paths of bytes", () => {
  expect(new PathPattern("/grün").matches(fromText("/grün"))).toBe(true);
  expect(codeOf(() => new PathPattern("/a\\"))).toBe("UsageError USAGE");
});
