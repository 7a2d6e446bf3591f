/** What a source means as it was typed, and which name it gives an image. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nameGivenBy } from "../../../src/oci/image-name.ts";
import { formatSource, parseSource } from "../../../src/oci/reference.ts";
import { parseRegistryArgument } from "../../../src/oci/registry-reference.ts";
import { readSource } from "../../../src/oci/source/typed-source.ts";
import { scratchFolder } from "../../support/scratch.ts";

const here = process.cwd();
const digest = `sha256:${"a".repeat(64)}`;
beforeEach(() => process.chdir(scratchFolder()));
afterEach(() => process.chdir(here));

describe("a source without a transport", () => {
  test.each([
    ["registry.example/app:1", "docker://registry.example/app:1"],
    ["registry.example:5000/team/app:1.0", "docker://registry.example:5000/team/app:1.0"],
    ["localhost/app:1", "docker://localhost/app:1"],
    ["docker.io/busybox:1", "docker://docker.io/library/busybox:1"],
    [`registry.example/app@${digest}`, `docker://registry.example/app@${digest}`],
  ])("%s is in a registry, where no such file is", (text, meant) => {
    expect(formatSource(readSource(text))).toBe(meant);
    const path = join(process.cwd(), text);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, "");
    expect(readSource(text)).toEqual({ transport: "path", path: text });
  });

  test.each([
    "app:1",
    "team/app:1",
    "registry.example/app",
    "localhost:5000/app",
    "images.d/app.tar",
    "./registry.example/app:1",
    "../app:1",
    "/registry.example/app:1",
    "registry.example/App:1",
    "registry.example/app:not a tag",
    "registry.example/app@sha256:1",
  ])("%s is a path", (text) => {
    expect(readSource(text)).toEqual({ transport: "path", path: text });
  });

  test("is a path where something is that leads nowhere, or that cannot be looked at", () => {
    mkdirSync("registry.example");
    symlinkSync("nothing", "registry.example/app:1");
    expect(readSource("registry.example/app:1").transport).toBe("path");
    symlinkSync("loop", "loop.d");
    symlinkSync("loop.d", "loop");
    expect(readSource("loop.d/app:1").transport).toBe("path");
  });
});

describe("a reference to a registry", () => {
  test("may leave out docker:// in front of a host, and nothing else", () => {
    const whole = parseRegistryArgument("docker://registry.example/app:1");
    expect(parseRegistryArgument("registry.example/app:1")).toEqual(whole);
    expect(parseRegistryArgument("registry.example/app").tag).toBe("latest");
    for (const text of ["app:1", "team/app:1", "oci:registry.example/app", "https://a.example/b"]) {
      expect(() => parseRegistryArgument(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
    }
  });
});

describe("the name that a source gives", () => {
  test.each([
    ["docker://registry.example/app:1", "registry.example/app:1"],
    ["docker://registry.example/app", "registry.example/app:latest"],
    [`docker://registry.example/app:1@${digest}`, "registry.example/app:1"],
    ["docker://busybox", "docker.io/library/busybox:latest"],
    ["oci-archive:a.tar:registry.example/app:1", "registry.example/app:1"],
    ["docker-archive:a.tar:registry.example/app", "registry.example/app:latest"],
    ["oci:dir:registry.example:5000/app:1", "registry.example:5000/app:1"],
  ])("%s is %s", (source, name) => {
    expect(nameGivenBy(parseSource(source))).toBe(name);
  });

  test.each([
    `docker://registry.example/app@${digest}`,
    "oci:dir",
    "oci:dir:latest",
    "oci-archive:a.tar:app:1",
    "docker-archive:a.tar:@0",
    "dir:registry.example/app:1",
    "./registry.example/app:1",
    "-",
  ])("%s gives none", (source) => {
    expect(nameGivenBy(parseSource(source))).toBeUndefined();
  });
});
