/** A registry that asks to be left alone for a while, at whatever request. */
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { SealfsError } from "../../../src/errors.ts";
import { type Patience, noPatience, usualPatience } from "../../../src/http/patience.ts";
import type { OciDigest } from "../../../src/oci/digest.ts";
import { parseRegistryReference } from "../../../src/oci/registry-reference.ts";
import { listReferrers } from "../../../src/oci/registry/referrers.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import { putManifest, uploadBlob } from "../../../src/oci/registry/upload.ts";
import { openRegistryImage } from "../../../src/oci/source/registry-image.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { TestLayout, layerTar, types } from "../../support/oci.ts";
import { type RegistryHabits, TestRegistry, sha256 } from "../../support/registry.ts";

const REPO = "team/app";

function noted(limits: Partial<Patience> = {}): Patience & { readonly pauses: number[] } {
  const pauses: number[] = [];
  const sleep = (ms: number) => Promise.resolve(void pauses.push(ms));
  return { ...usualPatience, ...limits, sleep, pauses };
}

const WORDS = JSON.stringify({ errors: [{ code: "TOOMANYREQUESTS", message: "pull rate limit" }] });

/** Answers the first `times` requests that match with a status. */
function busyAt(
  pattern: RegExp,
  {
    times = 1,
    status = 429,
    retryAfter = "2",
  }: { times?: number; status?: number; retryAfter?: string } = {},
): RegistryHabits["intercept"] & object {
  let left = times;
  return ({ method, url }: IncomingMessage, response: ServerResponse) => {
    if (left === 0 || !pattern.test(`${method} ${url}`)) return false;
    left -= 1;
    response.writeHead(status, {
      "content-type": "application/json",
      ...(retryAfter === "" ? {} : { "retry-after": retryAfter }),
    });
    response.end(method === "HEAD" ? undefined : WORDS);
    return true;
  };
}

const noAuth = () => {
  const path = join(scratchFolder(), "auth.json");
  writeFileSync(path, "{}");
  return path;
};

async function start(habits: RegistryHabits, patience: Patience) {
  const server = await TestRegistry.start(habits);
  const options = { authFile: noAuth(), patience };
  const registry = new Registry({ host: server.host, repository: REPO }, options);
  onTestFinished(() => registry.close());
  return { server, registry, options };
}

/** Everything that is ever asked of a registry. */
async function everything(habits: RegistryHabits, patience: Patience): Promise<TestRegistry> {
  const { server, registry, options } = await start(habits, patience);
  const layout = new TestLayout();
  const manifest = layout.image([await layerTar("x".repeat(5000))]);
  const path = `blobs/${manifest.digest.replace(":", "/")}`;
  for (const [name, bytes] of layout.files) {
    if (name.startsWith("blobs/") && name !== path) await uploadBlob(registry, bytes);
  }
  await putManifest(registry, "1.0", types.manifest, layout.files.get(path)!);
  const reference = parseRegistryReference(`docker://${server.host}/${REPO}:1.0`);
  const image = await openRegistryImage(reference, { platform: undefined }, options);
  onTestFinished(() => image.close());
  await image.prepare!(image.layers[0]!);
  await listReferrers(registry, manifest.digest as OciDigest, "application/vnd.test");
  return server;
}

describe("is asked again, once it said how long to wait", () => {
  test.each([
    ["whether it is one", /^GET \/v2\/$/, {}],
    ["for a blob that may be there", /^HEAD .*blobs/, {}],
    ["where to send a blob", /^POST .*uploads/, {}],
    ["to take a blob", /^PUT .*uploads/, {}],
    ["to take a part of a blob", /^PATCH .*uploads/, { chunkedOnly: true }],
    ["to take a manifest", /^PUT .*manifests/, {}],
    ["for a manifest", /^GET .*manifests\/1.0/, {}],
    ["for a blob", /^GET .*blobs\/sha256/, {}],
    ["what refers to an image", /^GET .*referrers/, { referrers: true }],
    ["for the list under the tag", /^GET .*manifests\/sha256-/, {}],
  ] as const)("when it was asked %s", async (_, pattern, habits) => {
    for (const status of [429, 503]) {
      const patience = noted();
      const server = await everything(
        { ...habits, intercept: busyAt(pattern, { status }) },
        patience,
      );
      expect(patience.pauses).toEqual([2000]);
      expect(server.requests(pattern).length).toBeGreaterThan(1);
    }
  });

  test("when it was asked for a token", async () => {
    const patience = noted();
    const habits: RegistryHabits = { auth: "bearer", intercept: busyAt(/^GET \/token/) };
    const { server, registry } = await start(habits, patience);
    const bytes = Buffer.from("a blob");
    const digest = server.addBlob(REPO, bytes) as OciDigest;
    expect(await registry.blob({ digest, size: bytes.length }, 100)).toEqual(bytes);
    expect(patience.pauses).toEqual([2000]);
    expect(server.requests(/token/)).toHaveLength(2);
  });

  test("when it has sent elsewhere, and that server is busy", async () => {
    let busy = 2;
    const storage = await TestRegistry.start({
      intercept: (_, response) => {
        if (busy-- > 0) response.writeHead(503, { "retry-after": "5" }).end();
        else response.end("a blob");
        return true;
      },
    });
    const patience = noted();
    const { server, registry } = await start(
      {
        intercept: ({ url }, response) => {
          if (!/blobs/.test(url!)) return false;
          response.writeHead(307, { location: `http://${storage.host}/x?signature=1` }).end();
          return true;
        },
      },
      patience,
    );
    const digest = sha256(Buffer.from("a blob")) as OciDigest;
    expect(Buffer.from(await registry.blob({ digest, size: 6 }, 100)).toString()).toBe("a blob");
    expect(patience.pauses).toEqual([5000, 5000]);
    expect(server.requests(/blobs/)).toHaveLength(3);
  });

  test("until a date", async () => {
    const patience = noted();
    const date = new Date(Date.now() + 20_000).toUTCString();
    await everything(
      { intercept: busyAt(/^GET .*manifests\/1.0/, { retryAfter: date }) },
      patience,
    );
    expect(patience.pauses).toHaveLength(1);
    expect(patience.pauses[0]).toBeGreaterThan(10_000);
    expect(patience.pauses[0]).toBeLessThanOrEqual(20_000);
  });

  test("as often as that, within bounds: a layer four times", async () => {
    const patience = noted();
    const { server, options } = await start({}, patience);
    const layout = new TestLayout();
    const manifest = layout.image([await layerTar("y".repeat(5000))]);
    for (const [name, bytes] of layout.files) {
      if (name === `blobs/${manifest.digest.replace(":", "/")}`) {
        server.addManifest(REPO, "1.0", types.manifest, bytes);
      } else if (name.startsWith("blobs/")) server.addBlob(REPO, bytes);
    }
    const reference = parseRegistryReference(`docker://${server.host}/${REPO}:1.0`);
    const image = await openRegistryImage(reference, { platform: undefined }, options);
    onTestFinished(() => image.close());
    const [layer] = image.layers;
    const busy = busyAt(new RegExp(`blobs/${layer!.digest}`), { times: 4, retryAfter: "1" });
    Object.assign(server.habits, { intercept: busy });
    await image.prepare!(layer!);
    expect(patience.pauses).toEqual([1000, 1000, 1000, 1000]);
  });
});

describe("when patience is over", () => {
  const errorOf = async (pattern: RegExp, patience: Patience, habits: RegistryHabits = {}) => {
    const intercept = busyAt(pattern, { times: Infinity });
    const error = await everything({ ...habits, intercept }, patience).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SealfsError);
    return error as SealfsError;
  };

  test.each([
    ["whether it is one", /^GET \/v2\/$/],
    ["to take a blob", /^PUT .*uploads/],
    ["to take a manifest", /^PUT .*manifests/],
    ["for a manifest", /^GET .*manifests\/1.0/],
    ["for a blob", /^GET .*blobs\/sha256/],
    ["what refers to an image", /^GET .*referrers/],
  ])("the error has the registry's words, asked %s", async (_, pattern) => {
    const error = await errorOf(pattern, noPatience);
    expect(error).toMatchObject({ code: "BUSY", status: 429, retryAfterMs: 2000 });
    expect(error.message).toContain("asks to be left alone for 2 s (429)");
    expect(error.message).toContain("TOOMANYREQUESTS: pull rate limit");
  });

  test("so it has for a token", async () => {
    const intercept = busyAt(/token/, { times: Infinity });
    const { registry } = await start({ auth: "bearer", intercept }, noPatience);
    const error = await registry.manifest("1.0").catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "BUSY" });
    expect((error as Error).message).toContain("TOOMANYREQUESTS: pull rate limit");
  });

  test("a layer is not asked for again and again", async () => {
    const patience = noted({ asks: 3 });
    await errorOf(/^GET .*blobs\/sha256/, patience);
    expect(patience.pauses).toEqual([2000, 2000]);
  });
});

test("a registry that was busy when it was met is met again at the next request", async () => {
  const { server, registry } = await start({ intercept: busyAt(/^GET \/v2\/$/) }, noPatience);
  server.addManifest(REPO, "1.0", types.manifest, Buffer.from("{}"));
  await expect(registry.manifest("1.0")).rejects.toMatchObject({ code: "BUSY" });
  expect((await registry.manifest("1.0")).mediaType).toBe(types.manifest);
});
