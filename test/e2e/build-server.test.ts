/**
 * A build server's day, with real tools: an index of several platforms built and signed, pushed,
 * promoted by another key, pulled by a client, replaced by a new version, and rolled back.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatPlatform } from "../../src/platform/platform.ts";
import { hostPlatform } from "../../src/sys/host-platform.ts";
import {
  type RunningRegistry,
  dockerRegistry,
  startDockerRegistry,
} from "../support/docker-registry.ts";
import { TestLayout, named, tar } from "../support/oci.ts";
import { oracle } from "../support/oracle.ts";
import { type SealfsResult, sealfs, sealfsOk } from "../support/run.ts";
import { scratchFolder } from "../support/scratch.ts";

const skopeo = oracle("skopeo");
const isReady = skopeo !== undefined && dockerRegistry !== undefined;
const host = formatPlatform(hostPlatform());
const platforms = [host, "linux/s390x"];

describe.skipIf(!isReady)("with docker-registry and skopeo (skipped when not installed)", () => {
  let root: string;
  let registry: RunningRegistry;
  const at = (name: string) => join(root, name);
  const candidate = () => `${registry.host}/team/app:1.0`;
  const stable = () => `${registry.host}/team/app:stable`;

  beforeAll(async () => {
    root = scratchFolder();
    registry = await startDockerRegistry();
    sealfsOk(["keygen", "-o", at("build")]);
    sealfsOk(["keygen", "-o", at("production")]);
  });
  afterAll(() => registry.stop());

  function runSkopeo(...args: string[]): string {
    const result = spawnSync(skopeo!, args, { encoding: "utf8" });
    if (result.status !== 0) throw new Error(`skopeo ${args.join(" ")}: ${result.stderr}`);
    return result.stdout;
  }

  /** What podman and buildx do: an index of an image for each platform, over one base. */
  async function release(content: string): Promise<void> {
    const layout = new TestLayout();
    const base = await tar([{ name: "base", content: "what never changes ".repeat(500) }]);
    const images = await Promise.all(
      platforms.map(async (platform) => {
        const text = `${content} for ${platform} `.repeat(50);
        const image = layout.image([base, await tar([{ name: "app", content: text }])], {
          platform,
        });
        const [os, architecture, variant] = platform.split("/");
        return { ...image, platform: { os, architecture, variant } };
      }),
    );
    const { mediaType, digest, size } = layout.json(
      { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: images },
      "application/vnd.oci.image.index.v1+json",
    );
    layout.index([named({ mediaType, digest, size }, "x")]).directory(at(content));
    copy(`oci:${at(content)}:x`, candidate());
  }

  function copy(from: string, to: string): void {
    const flags = ["--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    runSkopeo("copy", "-q", "--all", "--preserve-digests", ...flags, from, `docker://${to}`);
  }

  /** The digest of what a tag leads to. */
  function digestOf(reference: string): string {
    const flags = ["--tls-verify=false", "--format", "{{.Digest}}"];
    return runSkopeo("inspect", ...flags, `docker://${reference}`).trim();
  }

  const onServer = (command: string, ...args: string[]) =>
    sealfsOk([command, ...args, "--store", at("server")]).stdout;
  const build = () =>
    JSON.parse(
      onServer("build", candidate(), "--all-platforms", "--json", "--key", at("build.key")),
    ) as { images: { digest: string; platform: string; layersRemembered: number }[] };
  const byProduction = () => ["--key", at("production.key"), "--signed-by", at("build.pub")];

  /** From what was built to what clients may run: the tag in the registry, the name, its signature. */
  function promote(): void {
    copy(`docker://${candidate()}`, stable());
    onServer("tag", candidate(), stable(), ...byProduction());
    onServer("push", stable(), stable());
  }

  /** Another machine, that trusts production alone. */
  const trust = () => ["--key", at("production.pub"), "--state", at("state")];
  const pull = (...more: string[]): SealfsResult =>
    sealfs(["pull", stable(), "--store", at("client"), "--json", ...trust(), ...more]);
  const pulled = (...more: string[]) => {
    const { status, stdout, stderr } = pull(...more);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as { id: string; platform: string };
  };

  /** The content of a file, fetched from the layers in the registry. */
  function contentOf(platform: string): string {
    const from = [stable(), "--store", at("client"), "--platform", platform];
    const mirror = ["--mirror", `docker://${registry.host}/team/app`];
    sealfsOk(["fetch", ...from, ...trust(), ...mirror]);
    const verified = sealfsOk(["verify", ...from, ...trust(), "--json"]).stdout;
    const { verityDigest: id } = JSON.parse(verified) as { verityDigest: string };
    return sealfsOk(["cat", id, "/app", "--store", at("client")]).stdout;
  }

  test("images are built, promoted, pulled, replaced and rolled back, for all their platforms", async () => {
    await release("one");
    const first = build();
    expect(first.images.map(({ platform }) => platform)).toEqual(platforms);
    onServer("push", candidate(), candidate());
    // What only the build server has signed is for no client.
    copy(`docker://${candidate()}`, stable());
    expect(pull()).toMatchObject({ status: 5 });
    const before = digestOf(stable());
    promote();
    expect(pulled()).toMatchObject({ id: first.images[0]!.digest, platform: host });
    expect(pulled("--platform", platforms[1]!).id).toBe(first.images[1]!.digest);
    for (const platform of platforms) {
      expect(contentOf(platform)).toBe(`one for ${platform} `.repeat(50));
    }

    await release("two");
    const second = build();
    // The base is known from the first build, whatever image it is in.
    expect(second.images.map(({ layersRemembered }) => layersRemembered)).toEqual([1, 1]);
    onServer("push", candidate(), candidate());
    promote();
    expect(pulled().id).toBe(second.images[0]!.digest);
    expect(pulled("--platform", platforms[1]!).id).toBe(second.images[1]!.digest);
    expect(contentOf(host)).toBe(`two for ${host} `.repeat(50));

    // Somebody with the registry's password leads the tag back to the first version.
    copy(`docker://${registry.host}/team/app@${before}`, stable());
    const refused = pull();
    expect(refused).toMatchObject({ status: 5 });
    expect(refused.stderr).toContain(`sealfs rollback ${stable()} `);

    // Those who may do so sign it anew.
    onServer("rollback", stable(), "--key", at("production.key"));
    onServer("push", stable(), stable());
    expect(pulled().id).toBe(first.images[0]!.digest);
    expect(pulled("--platform", platforms[1]!).id).toBe(first.images[1]!.digest);
    for (const platform of platforms) {
      expect(contentOf(platform)).toBe(`one for ${platform} `.repeat(50));
    }
    const history = JSON.parse(onServer("images", stable(), "--history", "--json")) as {
      id: string;
      isCurrent: boolean;
    }[];
    const current = history.filter(({ isCurrent }) => isCurrent).map(({ id }) => id);
    expect(current.sort()).toEqual(first.images.map(({ digest }) => digest).sort());
  });
});
