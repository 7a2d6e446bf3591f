/** Images that skopeo pushed to docker-registry, in every compression: built, signed, pulled, fetched, mounted; and what others see of the artifact. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type RunningRegistry,
  dockerRegistry,
  startDockerRegistry,
} from "../support/docker-registry.ts";
import { sealfsOk } from "../support/run.ts";
import { noMount } from "../support/mount-bed.ts";
import { TestLayout, named, tar, types } from "../support/oci.ts";
import { oracle } from "../support/oracle.ts";
import { scratchFolder } from "../support/scratch.ts";

const skopeo = oracle("skopeo");
const isReady = skopeo !== undefined && dockerRegistry !== undefined;
const USER = "user";
const PASSWORD = "pass word:1";
// Made by crypt(3).
const HTPASSWD = `${USER}:$2y$05$abcdefghijklmnopqrstuusWsnA3PCG6MJhsuMdaZgkE21cQMslZi\n`;

const compressions = ["none", "gzip", "zstd", "zstd:chunked"] as const;

/** Text that can be compressed, and some that cannot. */
function files(count: number): { name: string; content: Buffer }[] {
  return Array.from({ length: count }, (_, i) => {
    const size = 100 + ((i * 7919) % 60_000);
    const noise = randomBytes(size >> 2).toString("hex");
    return { name: `usr/share/file-${i}`, content: Buffer.from(`${i} `.repeat(size >> 3) + noise) };
  });
}

describe.skipIf(!isReady)("docker-registry and skopeo (skipped when not installed)", () => {
  let root: string;
  let registry: RunningRegistry;
  const content = files(60);
  const at = (name: string) => join(root, name);

  beforeAll(async () => {
    root = scratchFolder();
    registry = await startDockerRegistry(HTPASSWD);
    sealfsOk(["keygen", "-o", at("signer")]);
    const login = spawnSync(
      skopeo!,
      [
        "login",
        "--tls-verify=false",
        "--authfile",
        at("auth.json"),
        "-u",
        USER,
        "--password-stdin",
        registry.host,
      ],
      { input: PASSWORD, encoding: "utf8" },
    );
    expect([login.status, login.stderr]).toEqual([0, ""]);
    const layers = [
      await tar([{ name: "usr/", type: "directory" }, ...content.slice(0, 30)]),
      await tar(content.slice(30)),
    ];
    const zipped = new TestLayout();
    zipped.index([named(zipped.image(layers), "x")]).directory(at("zipped"));
    const plain = new TestLayout();
    const manifest = plain.image(layers, {
      manifest: { layers: layers.map((layer) => plain.blob(layer, types.tar)) },
    });
    plain.index([named(manifest, "x")]).directory(at("plain"));
    expect(gzipSync(layers[0]!).length).toBeLessThan(layers[0]!.length);
    for (const compression of compressions) copy(compression);
  });

  afterAll(async () => {
    await registry.stop();
  });

  const tagOf = (compression: string) => compression.replace(":", "-");
  const place = (compression: string) => `${registry.host}/team/app:${tagOf(compression)}`;

  function runSkopeo(...args: string[]): string {
    const result = spawnSync(skopeo!, args, { encoding: "utf8", maxBuffer: 1 << 26 });
    if (result.status !== 0) throw new Error(`skopeo ${args.join(" ")}: ${result.stderr}`);
    return result.stdout;
  }

  function copy(compression: string): void {
    const how =
      compression === "none"
        ? ["--preserve-digests", `oci:${at("plain")}:x`]
        : [
            "--dest-compress-format",
            compression,
            "--dest-force-compress-format",
            "--format",
            "oci",
            `oci:${at("zipped")}:x`,
          ];
    const flags = [
      "--insecure-policy",
      "--dest-tls-verify=false",
      "--dest-authfile",
      at("auth.json"),
    ];
    runSkopeo("copy", "-q", ...flags, ...how, `docker://${place(compression)}`);
  }

  const auth = () => ["--authfile", at("auth.json")];

  test.each(compressions)(
    "%s: built, pushed, pulled and fetched by ranges, all content is right",
    (compression) => {
      const name = place(compression);
      const store = at(`builder-${tagOf(compression)}`);
      const client = at(`client-${tagOf(compression)}`);
      const trust = ["--key", at("signer.pub"), "--state", "none"];
      // Where no such file is, the name alone says all: where it is, and what is signed.
      sealfsOk(["build", name, "--store", store, "--key", at("signer.key"), ...auth()]);
      sealfsOk(["push", name, name, "--store", store, ...auth()]);
      const pulled = JSON.parse(
        sealfsOk(["pull", name, "--store", client, "--json", ...trust, ...auth()]).stdout,
      );
      expect(pulled).toMatchObject({ hasSeekIndex: true, fitsSubject: true });
      expect(pulled.missing.objects).toBe(content.length);
      const mirror = ["--mirror", `docker://${registry.host}/team/app`];
      const env = { REGISTRY_AUTH_FILE: at("auth.json") };
      sealfsOk(["fetch", name, "--store", client, ...trust, ...mirror], { env });
      sealfsOk(["fsck", "--store", client]);
      for (const file of content.filter((_, i) => i % 12 === 0)) {
        const { stdout } = sealfsOk(["cat", name, `/${file.name}`, "--store", client]);
        expect(stdout).toBe(file.content.toString());
      }
    },
  );

  test("skopeo shows the artifact as it was pushed, its subject, and the digest that the composefs draft asks for", () => {
    const name = place("gzip");
    const store = at("builder-gzip");
    const { artifact, subject, id } = JSON.parse(
      sealfsOk(["push", name, `docker://${name}`, "--store", store, "--json", ...auth()]).stdout,
    );
    const flags = ["--tls-verify=false", "--authfile", at("auth.json")];
    const raw = JSON.parse(
      runSkopeo("inspect", "--raw", ...flags, `docker://${registry.host}/team/app@${artifact}`),
    );
    expect(raw.subject.digest).toBe(subject);
    expect(raw.annotations["composefs.merged.erofs.v1.fsverity-sha256-12"]).toBe(id);
    const tag = subject.replace(":", "-");
    const index = JSON.parse(
      runSkopeo("inspect", "--raw", ...flags, `docker://${registry.host}/team/app:${tag}`),
    );
    expect(index.manifests.map(({ digest }: { digest: string }) => digest)).toEqual([artifact]);
    // The image itself is as it was: clients that know nothing of this never notice.
    const layout = at("copied");
    runSkopeo(
      "copy",
      "-q",
      "--insecure-policy",
      "--src-tls-verify=false",
      "--src-authfile",
      at("auth.json"),
      `docker://${name}`,
      `oci:${layout}:x`,
    );
  });

  test("without the password nothing is given", () => {
    writeFileSync(at("none.json"), "{}");
    expect(() =>
      sealfsOk([
        "pull",
        `docker://${place("gzip")}`,
        "--store",
        at("x"),
        "--key",
        at("signer.pub"),
        "--authfile",
        at("none.json"),
      ]),
    ).toThrow(/exit 6[\s\S]*log in/);
  });

  test.skipIf(noMount() !== undefined)(
    "pull --mount shows the image at once, and files come from its layers when they are read",
    () => {
      const name = place("zstd:chunked");
      const target = at("mnt");
      mkdirSync(target);
      // The mount's own server has to find the credentials too.
      const flags = ["--authfile", at("auth.json"), "--key", at("signer.pub"), "--state", "none"];
      const places = ["--store", at("lazy"), "--mount", target];
      sealfsOk(["pull", `docker://${name}`, ...places, ...flags]);
      try {
        for (const file of content.filter((_, i) => i % 3 === 1).slice(0, 20)) {
          expect(readFileSync(join(target, file.name)).equals(file.content)).toBe(true);
        }
      } finally {
        sealfsOk(["umount", target]);
      }
    },
  );
});
