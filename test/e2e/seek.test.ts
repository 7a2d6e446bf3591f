/** Objects read at random out of layers that real tools have compressed. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseSource } from "../../src/oci/reference.ts";
import { openSource } from "../../src/oci/source/open-source.ts";
import { Containerd, noContainerd } from "../support/containerd.ts";
import { oracle } from "../support/oracle.ts";
import { SeekBed, layoutOf } from "../support/seek-bed.ts";
import { hasProgram } from "../support/run.ts";
import { scratchFolder } from "../support/scratch.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const skopeo = oracle("skopeo");
/** Of each tool but the last; SLOW=1 makes 3000 in all. */
const READS = process.env["SLOW"] === "1" ? 500 : 100;

/** An archive of some tens of megabytes: programs, sources, small and large files. */
function archiveOfProject(folder: string): string {
  const path = join(folder, "layer.tar");
  execFileSync("tar", ["-C", root, "-cf", path, "src", "test", "node_modules/@typescript"], {
    stdio: "ignore",
  });
  return path;
}

async function expectRightReads(layout: string, maxShare: number): Promise<void> {
  const bed = await SeekBed.of(layout);
  const wrong = await bed.wrongReads(READS);
  expect(wrong).toEqual([]);
  const bytes = bed.index.layers.reduce((sum, layer) => sum + layer.bytes, 0);
  expect(bed.index.size / bytes).toBeLessThan(maxShare);
}

describe(`${6 * READS} reads in all, of layers by`, () => {
  const tools: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
    ["gzip -6", "gzip", ["-6", "-c"]],
    ["gzip -9", "gzip", ["-9", "-c"]],
    ["pigz", "pigz", ["-c"]],
  ];
  for (const [name, command, args] of tools) {
    test.skipIf(!hasProgram(command))(
      `${name} (needs ${command})`,
      { timeout: 900_000 },
      async () => {
        const path = archiveOfProject(scratchFolder());
        const blob = execFileSync(command, [...args, path], { maxBuffer: 2 ** 30 });
        await expectRightReads(layoutOf([{ tar: readFileSync(path), blob }]), 0.007);
      },
    );
  }

  test("containerd as eStargz", { timeout: 900_000 }, async (context) => {
    context.skip(noContainerd() !== undefined, noContainerd());
    const tar = readFileSync(archiveOfProject(scratchFolder()));
    const containerd = await Containerd.start();
    try {
      const converted = containerd.stargzOf(layoutOf([{ tar }]));
      const image = await openSource(parseSource(`oci:${converted}`));
      const { annotations } = image.layers[0]!;
      image.close();
      expect([...annotations.keys()]).toContain("containerd.io/snapshot/stargz/toc.digest");
      await expectRightReads(converted, 0.007);
    } finally {
      await containerd.stop();
    }
  });

  for (const format of ["gzip", "zstd:chunked", "zstd"]) {
    test.skipIf(skopeo === undefined)(
      `skopeo as ${format} (needs skopeo: .ci/oracles)`,
      { timeout: 900_000 },
      async () => {
        const folder = scratchFolder();
        const tar = readFileSync(archiveOfProject(folder));
        const mediaType = "application/vnd.oci.image.layer.v1.tar";
        const source = layoutOf([{ tar, blob: tar, mediaType }]);
        const target = join(folder, "converted");
        const policy = join(folder, "policy.json");
        writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
        const options = ["--dest-compress", "--dest-compress-format", format];
        const places = [`oci:${source}:app`, `oci:${target}:app`];
        execFileSync(skopeo!, ["--policy", policy, "copy", "-q", ...options, ...places]);
        if (format !== "zstd") return expectRightReads(target, 0.007);
        // One frame: only as a whole, which takes its time.
        const bed = await SeekBed.of(target);
        expect(bed.index.layers.map(({ seekable }) => seekable)).toEqual([false]);
        expect(await bed.wrongReads(3)).toEqual([]);
      },
    );
  }
});
