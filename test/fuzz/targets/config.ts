/** Files of the user and of other tools: registries.conf, auth.json, mirrors.json. */
import { parseMirrors } from "../../../src/mirror/mirrors-file.ts";
import { AuthFile } from "../../../src/oci/registry/auth-file.ts";
import { parseRegistriesConf } from "../../../src/oci/registry/registries-conf.ts";
import { accepted } from "../invariant.ts";

export function fuzz(data: Uint8Array): void {
  accepted(() => parseRegistriesConf(data, "registries.conf"));
  accepted(() => AuthFile.parse(data, "auth.json"));
  accepted(() => parseMirrors(data, "/", "mirrors.json"));
}
