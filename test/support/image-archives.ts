/**
 * Archives of images as the tools that write them make them, and as they must not be: `docker save`
 * of every age, crane and its kin, buildpacks, nix, `tar .` of a layout.
 *
 * @module
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { TestLayout, digestOf, tar } from "./oci.ts";
import { scratchFolder } from "./scratch.ts";

export type Members = Parameters<typeof tar>[0];

export const hexOf = (bytes: Uint8Array): string => digestOf(bytes).slice("sha256:".length);

/** The configuration of an image of uncompressed layers. */
export function configOf(layers: readonly Uint8Array[], platform = "linux/amd64"): Buffer {
  const [os, architecture, variant] = platform.split("/");
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => digestOf(layer)) };
  return Buffer.from(JSON.stringify({ architecture, os, variant, rootfs }));
}

export interface DockerArchiveShape {
  readonly tags?: readonly string[];
  /** The stored bytes of the layers, where they are not the layers themselves. */
  readonly stored?: readonly Uint8Array[];
  /** Names of the layers, and of the configuration, in the archive. */
  readonly layerName?: (hex: string) => string;
  readonly configName?: (hex: string) => string;
  /** The same in manifest.json, where they differ. */
  readonly layerEntry?: (hex: string) => string;
  readonly configEntry?: (hex: string) => string;
}

/** The members of a Docker archive: configuration, layers, `manifest.json` at the end. */
export function dockerArchive(layers: readonly Buffer[], shape: DockerArchiveShape = {}): Members {
  const { tags = ["app:1"], stored = layers } = shape;
  const { layerName = (hex) => `${hex}/layer.tar`, configName = (hex) => `${hex}.json` } = shape;
  const { layerEntry = layerName, configEntry = configName } = shape;
  const config = configOf(layers);
  const manifest = {
    Config: configEntry(hexOf(config)),
    RepoTags: tags,
    Layers: layers.map((layer) => layerEntry(hexOf(layer))),
  };
  return [
    { name: configName(hexOf(config)), content: config },
    ...layers.map((layer, i) => ({ name: layerName(hexOf(layer)), content: stored[i]! })),
    { name: "manifest.json", content: JSON.stringify([manifest]) },
  ];
}

/** The same members with names that begin with `prefix`. */
export function under(prefix: string, members: Members): Members {
  return members.map((member) => ({ ...member, name: prefix + member.name }));
}

/** Writes a file into a folder of its own and returns its path. */
export function put(bytes: Uint8Array | string, name = "archive.tar"): string {
  const path = join(scratchFolder(), name);
  writeFileSync(path, bytes);
  return path;
}

/** A layout's files as members of an archive. */
export function layoutArchive(layout: TestLayout, without: readonly string[] = []): Members {
  return [...layout.files]
    .filter(([name]) => !without.includes(name))
    .map(([name, content]) => ({ name, content }));
}

/** A layout with one image. */
export function layoutOf(layers: readonly Buffer[]): TestLayout {
  const layout = new TestLayout();
  return layout.index([layout.image(layers)]);
}

/** `docker save` of before 1.10: a folder for each layer, and no manifest. */
export function firstDockerArchive(layers: readonly Buffer[]): Members {
  const ids = layers.map((layer) => hexOf(Buffer.concat([layer, Buffer.from("id")])));
  return [
    ...layers.flatMap((layer, i) => [
      { name: `${ids[i]}/`, type: "directory" as const },
      { name: `${ids[i]}/VERSION`, content: "1.0" },
      { name: `${ids[i]}/json`, content: JSON.stringify({ id: ids[i], parent: ids[i - 1] }) },
      { name: `${ids[i]}/layer.tar`, content: layer },
    ]),
    { name: "repositories", content: JSON.stringify({ app: { 1: ids.at(-1) } }) },
  ];
}

/** `docker save` from 1.10 on: the same with `manifest.json`; a repeated layer is a symlink. */
export function oldDockerArchive(layers: readonly Buffer[]): Members {
  const first = firstDockerArchive(layers);
  const names = first.flatMap(({ name }) => (name.endsWith("/layer.tar") ? [name] : []));
  const config = configOf([...layers, layers[0]!]);
  const again = `${"c".repeat(64)}/layer.tar`;
  const manifest = {
    Config: `${hexOf(config)}.json`,
    RepoTags: ["app:1"],
    Layers: [...names, again],
  };
  return [
    ...first,
    { name: again, type: "symlink", linkname: `../${names[0]}` },
    { name: manifest.Config, content: config },
    { name: "manifest.json", content: JSON.stringify([manifest]) },
  ];
}

/** What `skopeo copy … dir:` writes: blobs by their digest, `nameOf` says how. */
export function skopeoFolder(
  layers: readonly Buffer[],
  nameOf: (digest: string) => string = (digest) => digest.split(":")[1]!,
): Members {
  const layout = layoutOf(layers);
  const top = JSON.parse(Buffer.from(layout.files.get("index.json")!).toString()) as {
    manifests: { digest: string }[];
  };
  const manifest = `blobs/${top.manifests[0]!.digest.replace(":", "/")}`;
  return [
    { name: "version", content: "Directory Transport Version: 1.1\n" },
    ...[...layout.files].flatMap(([name, content]) => {
      if (name === manifest) return [{ name: "manifest.json", content }];
      const digest = /^blobs\/(.*)$/.exec(name)?.[1]?.replace("/", ":");
      return digest === undefined ? [] : [{ name: nameOf(digest), content }];
    }),
  ];
}

/** Writes members as files, links and folders, and returns the folder. */
export function folderOf(members: Members): string {
  const root = scratchFolder();
  for (const { name, type, linkname, content = "" } of members) {
    const path = join(root, name);
    mkdirSync(type === "directory" ? path : dirname(path), { recursive: true });
    if (type === "symlink") symlinkSync(linkname!, path);
    else if (type !== "directory") writeFileSync(path, content);
  }
  return root;
}
