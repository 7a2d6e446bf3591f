/** The platform that a statement names: its spelling, and who takes it. */
import { describe, expect, test } from "vitest";
import { parsePlatform } from "../../../src/platform/platform.ts";
import { verifyProgress } from "../../../src/trust/high-water.ts";
import { bundleWith, keyring, name, now, refusal, verifyBundle } from "../../support/trust.ts";

/** What a client that asks for `asked` says of a signed statement with this platform. */
const verdict = (platform: unknown, asked?: string, isHost = false) =>
  refusal(() =>
    verifyBundle(
      bundleWith((statement) => (statement.predicate.platform = platform)),
      keyring,
      {
        name,
        now,
        platform: asked === undefined ? undefined : { platform: parsePlatform(asked), isHost },
      },
    ),
  );

describe("a statement's platform", () => {
  test("is what was asked for, or runs there", () => {
    expect(verdict({ os: "linux", architecture: "amd64" }, "linux/amd64")).toBe("accepted");
    expect(verdict({ os: "linux", architecture: "amd64" }, "linux/amd64/v3")).toBe("accepted");
    expect(verdict({ os: "linux", architecture: "arm", variant: "v6" }, "linux/arm/v7")).toBe(
      "accepted",
    );
    expect(verdict({ os: "linux", architecture: "arm64" }, "linux/amd64")).toBe("WRONG_PLATFORM");
    expect(verdict({ os: "linux", architecture: "arm", variant: "v7" }, "linux/arm/v6")).toBe(
      "WRONG_PLATFORM",
    );
    expect(verdict({ os: "windows", architecture: "amd64" }, "linux/amd64")).toBe("WRONG_PLATFORM");
  });

  test("may be one that the processor of a host runs as well, where nothing was asked for", () => {
    const platform = { os: "linux", architecture: "386" };
    expect(verdict(platform, "linux/amd64")).toBe("WRONG_PLATFORM");
    expect(verdict(platform, "linux/amd64", true)).toBe("accepted");
    expect(verdict(platform, "linux/arm64", true)).toBe("WRONG_PLATFORM");
  });

  test("is not asked for, or not named: the image is for any", () => {
    expect(verdict({ os: "linux", architecture: "arm64" })).toBe("accepted");
    expect(verdict(undefined, "linux/amd64")).toBe("accepted");
  });

  test.for([
    null,
    "linux/amd64",
    {},
    { os: "linux" },
    { os: "linux", architecture: "x86_64" },
    { os: "Linux", architecture: "amd64" },
    { os: "linux", architecture: "arm64", variant: "8" },
    { os: "linux", architecture: "arm64", variant: "" },
    { os: "linux", architecture: "amd64/v2" },
    { os: "linux", architecture: "a".repeat(65) },
    { os: "linux", architecture: "..", variant: "~" },
  ])("has one spelling: not %j", (platform) => {
    expect(verdict(platform)).toBe("BAD_STATEMENT");
  });
});

describe("versions of a name that has several platforms", () => {
  const mark = (version: number, sha256 = "a") => ({ epoch: 0, version, sha256 });
  const compare = (next: object, own: object | undefined, ...others: object[]) => {
    let progress = "";
    const marks = { own, others } as Parameters<typeof verifyProgress>[1];
    const code = refusal(() => (progress = verifyProgress(next as never, marks, "app")));
    return code === "accepted" ? progress : code;
  };

  test("rise within a platform, and above what named none", () => {
    expect(compare(mark(5), undefined)).toBe("first");
    expect(compare(mark(5), mark(4, "b"))).toBe("newer");
    expect(compare(mark(5), mark(5))).toBe("same");
    expect(compare(mark(5), undefined, mark(4, "b"))).toBe("newer");
    expect(compare(mark(5), mark(4), mark(6, "b"))).toBe("ROLLBACK");
    expect(compare(mark(5), mark(6, "b"))).toBe("ROLLBACK");
    expect(compare(mark(5), mark(6))).toBe("same");
    expect(compare(mark(5, "b"), undefined, mark(5))).toBe("EQUIVOCATION");
  });
});
