/**
 * What podman would take for a name of an OCI image that says no transport, by the aliases and
 * search registries of this machine. Nothing is asked for such a name here: it is told what to say.
 *
 * Spec: containers-registries.conf(5), "Short-Name Resolution".
 *
 * @module
 */
import { SealfsError } from "../../errors.ts";
import { parseRegistryReference, registryName, startsWithHost } from "../registry-reference.ts";
import type { RegistriesConf } from "./registries-conf.ts";

/**
 * The references that a text may mean; none when it does not look like a name: it has an alias, a
 * registry or a tag.
 */
export function namesMeant(text: string, { aliases, search = [] }: RegistriesConf): string[] {
  const [, name = text, mark = ""] = /^([^:@]*)([:@].*)$/s.exec(text) ?? [];
  const alias = aliases.get(name);
  if (alias !== undefined) return references([`${alias}${mark}`]);
  if (startsWithHost(text)) return references([text]);
  if (mark === "") return [];
  const registries = search.length === 0 ? ["docker.io"] : search;
  return references(registries.map((registry) => `${registry}/${text}`));
}

/** Those that can be said. */
function references(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    try {
      return [`docker://${registryName(parseRegistryReference(`docker://${name}`))}`];
    } catch (error) {
      if (error instanceof SealfsError) return [];
      throw error;
    }
  });
}
