import { describe, expect, test } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import {
  hostDistance,
  platformDistance,
  samePlatform,
} from "../../../src/platform/platform-match.ts";
import {
  type DeclaredPlatform,
  formatPlatform,
  parsePlatform,
} from "../../../src/platform/platform.ts";
import { hostPlatform } from "../../../src/sys/host-platform.ts";

const declared = (text: string): DeclaredPlatform => {
  const [os, architecture, variant] = text.split("/").map((word) => word || undefined);
  return { os, architecture, variant };
};

/** Of some platforms, those that run what is asked for, nearest first. */
function nearest(asked: string, ...platforms: string[]): string[] {
  const distance = (text: string) => platformDistance(parsePlatform(asked), declared(text));
  return platforms
    .filter((text) => distance(text) !== undefined)
    .sort((a, b) => distance(a)! - distance(b)!);
}

describe("a platform as users write it", () => {
  test.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["linux/x86-64", "linux/amd64"],
    ["amd64", "linux/amd64"],
    ["linux/AMD64/V3", "linux/amd64/v3"],
    ["linux/aarch64", "linux/arm64"],
    ["arm64", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64/v8"],
    ["linux/arm64/v8.0", "linux/arm64/v8"],
    ["linux/arm64/v8.2", "linux/arm64/v8.2"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armv7l", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/armv6l", "linux/arm/v6"],
    ["linux/arm/7", "linux/arm/v7"],
    ["linux/arm", "linux/arm"],
    ["linux/i386", "linux/386"],
    ["i686", "linux/386"],
    ["linux/ppc64el", "linux/ppc64le"],
    ["linux/mips64el", "linux/mips64le"],
    ["linux/loongarch64", "linux/loong64"],
    ["linux/riscv64/rva22u64", "linux/riscv64/rva22u64"],
    ["macos/arm64", "darwin/arm64"],
    ["linux/vax", "linux/vax"],
  ])("%s is %s", (text, expected) => {
    expect(formatPlatform(parsePlatform(text))).toBe(expected);
    expect(parsePlatform(expected)).toEqual(parsePlatform(text));
  });

  test.each(["", "linux", "vax", "linux/", "/amd64", "linux/amd64/", "a/b/c/d", "linux/am d64"])(
    "%j is refused",
    (text) => {
      expect(() => parsePlatform(text)).toThrow(UsageError);
    },
  );
});

test("the host is an architecture of Linux under Go's name", () => {
  const host = hostPlatform();
  expect(host.os).toBe("linux");
  expect(parsePlatform(formatPlatform(host))).toEqual(host);
});

test("platforms are the same as far as they are declared", () => {
  const same = (a: string, b: string) => samePlatform(declared(a), declared(b));
  expect(same("linux/arm64", "linux/arm64/v8")).toBe(true);
  expect(same("linux/arm", "linux/arm/v7")).toBe(true);
  expect(same("linux/amd64/v1", "linux/amd64")).toBe(true);
  expect(same("linux/", "linux/s390x")).toBe(true);
  expect(same("linux/arm/v6", "linux/arm")).toBe(false);
  expect(same("linux/riscv64/rva22u64", "linux/riscv64")).toBe(false);
  expect(same("linux/amd64", "linux/arm64")).toBe(false);
  expect(same("linux/amd64", "windows/amd64")).toBe(false);
});

describe("an image runs on", () => {
  test("the platform that it is for, however that is written", () => {
    expect(nearest("linux/arm64", "linux/arm64/v8", "linux/arm64")).toEqual([
      "linux/arm64",
      "linux/arm64/v8",
    ]);
    expect(nearest("linux/arm64/v8", "linux/arm64", "linux/arm64/v8")).toEqual([
      "linux/arm64/v8",
      "linux/arm64",
    ]);
    expect(nearest("linux/amd64/v1", "linux/amd64")).toHaveLength(1);
    expect(nearest("linux/amd64", "linux/amd64/v1")).toHaveLength(1);
    expect(nearest("linux/riscv64/rva22u64", "linux/riscv64")).toHaveLength(1);
  });

  test("a later variant of arm, back to v5; no variant is v7, and may be any", () => {
    const all = ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm/v8", "linux/arm"];
    const of = (asked: string) => nearest(asked, ...all).map((text) => text.slice(9));
    expect(of("linux/arm/v8")).toEqual(["/v8", "/v7", "", "/v6", "/v5"]);
    expect(of("linux/arm/v7")).toEqual(["/v7", "", "/v6", "/v5"]);
    expect(of("linux/arm/v6")).toEqual(["/v6", "/v5", ""]);
    expect(of("linux/arm/v5")).toEqual(["/v5", ""]);
    expect(of("linux/arm")).toEqual(["", "/v7", "/v6", "/v5", "/v8"]);
  });

  test("a later level of amd64, back to v1", () => {
    const all = ["linux/amd64", "linux/amd64/v1", "linux/amd64/v2", "linux/amd64/v3"];
    expect(nearest("linux/amd64/v4", ...all)).toEqual(all.toReversed());
    expect(nearest("linux/amd64/v2", ...all)).toEqual([
      "linux/amd64/v2",
      "linux/amd64/v1",
      "linux/amd64",
    ]);
    expect(nearest("linux/amd64", ...all)).toEqual(["linux/amd64", "linux/amd64/v1"]);
  });

  test("a later version of arm64: v9.0 has all of v8.5", () => {
    const all = ["v8", "v8.2", "v8.5", "v8.6", "v9", "v9.1"].map((v) => `linux/arm64/${v}`);
    const of = (asked: string) => nearest(asked, ...all).map((text) => text.slice(12));
    expect(of("linux/arm64")).toEqual(["v8"]);
    expect(of("linux/arm64/v8.2")).toEqual(["v8.2", "v8"]);
    expect(of("linux/arm64/v9")).toEqual(["v9", "v8.5", "v8.2", "v8"]);
    expect(of("linux/arm64/v9.1")).toEqual(["v9.1", "v9", "v8.6", "v8.5", "v8.2", "v8"]);
  });

  test("what is not declared may be anything, behind all that is", () => {
    expect(nearest("linux/arm64", "", "/arm64", "linux/", "linux/arm64/v8")).toEqual([
      "linux/arm64/v8",
      "/arm64",
      "",
      "linux/",
    ]);
  });

  test("a host whose processor runs it too, behind all that is for its own architecture", () => {
    const taken = (host: string, ...platforms: string[]) => {
      const distance = (text: string) => hostDistance(parsePlatform(host), declared(text));
      return platforms
        .filter((text) => distance(text) !== undefined)
        .sort((a, b) => distance(a)! - distance(b)!);
    };
    expect(taken("linux/amd64", "linux/386", "linux/arm64", "linux/amd64")).toEqual([
      "linux/amd64",
      "linux/386",
    ]);
    const arm = ["linux/arm/v6", "linux/arm/v7", "linux/arm", "linux/amd64", "", "linux/arm64"];
    expect(taken("linux/arm64", ...arm)).toEqual([
      "linux/arm64",
      "",
      "linux/arm/v7",
      "linux/arm",
      "linux/arm/v6",
    ]);
    expect(taken("linux/amd64", "windows/386")).toEqual([]);
    expect(taken("linux/386", "linux/amd64")).toEqual([]);
    expect(taken("linux/arm/v7", "linux/arm64", "linux/arm/v8")).toEqual([]);
    expect(nearest("linux/amd64", "linux/386")).toEqual([]);
    expect(nearest("linux/arm64", "linux/arm/v7")).toEqual([]);
  });

  test("no other architecture, system, or unknown variant", () => {
    expect(
      nearest("linux/arm64", "linux/arm/v8", "linux/amd64", "windows/arm64", "darwin/arm64"),
    ).toEqual([]);
    expect(nearest("linux/amd64", "linux/386", "linux/amd64/baseline")).toEqual([]);
    expect(nearest("linux/riscv64", "linux/riscv64/rva22u64")).toEqual([]);
    expect(nearest("linux/arm64/v8", "linux/arm64/v9", "linux/arm64/v8.1")).toEqual([]);
  });
});
