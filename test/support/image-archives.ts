/**
 * Archives of images as the tools that write them make them, and as they must not be: `docker save`
 * of every age, crane and its kin, buildpacks, nix, `tar .` of a layout.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf, tar } from "./oci.ts";
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
