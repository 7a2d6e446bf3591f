/** Manifests, indexes and configurations of OCI and Docker. */
import { parseConfig } from "../../../src/oci/config.ts";
import { parseDocument, parseLayoutIndex } from "../../../src/oci/manifest.ts";
import { accepted } from "../invariant.ts";

const types = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

export function fuzz(data: Uint8Array): void {
  for (const type of types) accepted(() => parseDocument(data, type, "document"));
  accepted(() => parseLayoutIndex(data, "index.json"));
  accepted(() => parseConfig(data, "config"));
}
