/**
 * Where an OCI image is really asked for: its mirrors first, its registry last, as the machine's
 * configuration says.
 *
 * Spec: containers-registries.conf(5).
 *
 * @module
 */
import { FormatError, SealfsError, UsageError } from "../../errors.ts";
import { type RegistryReference, isPlace, registryName } from "../registry-reference.ts";
import {
  type RegistriesConf,
  type RegistryLocation,
  type RegistryRule,
  readRegistriesConf,
} from "./registries-conf.ts";
import { Registry } from "./registry.ts";
import type { RegistryOptions } from "./session.ts";

/** One repository, and whether its registry may be asked without TLS. */
export interface Place {
  readonly host: string;
  readonly repository: string;
  readonly insecure: boolean;
}

type Named = Pick<RegistryReference, "host" | "repository" | "tag" | "digest">;

/**
 * The places to ask for a reference, in their order; never none. Some mirrors are asked only for
 * digests, or only for tags.
 *
 * @throws {@link UsageError} for a registry that is blocked
 * @throws {@link FormatError} for a location that makes no repository
 */
export function pullPlaces(
  reference: Named,
  conf: RegistriesConf,
  isByDigest = reference.digest !== undefined,
): readonly Place[] {
  const { host, repository } = reference;
  const found = ruleFor(reference, conf);
  if (found === undefined) return [{ host, repository, insecure: false }];
  const { rule, bytes } = found;
  const mirrors = rule.mirrors.filter(
    ({ pulls }) => pulls === "all" || (pulls === "digest-only") === isByDigest,
  );
  const rest = `${host}/${repository}`.slice(bytes);
  return [...mirrors, rule].map((place) => moved(place, rest, reference, rule.file));
}

/** The place to which a reference is pushed: its own. As {@link pullPlaces}. */
export function pushPlace(reference: Named, conf: RegistriesConf): Place {
  const { host, repository } = reference;
  return { host, repository, insecure: ruleFor(reference, conf)?.rule.insecure ?? false };
}

/** The rule whose prefix is written longest, and how much of the name that takes. */
function ruleFor(
  reference: Named,
  { rules }: RegistriesConf,
): { rule: RegistryRule; bytes: number } | undefined {
  const name = registryName({ ...reference, transport: "docker" });
  let best: { rule: RegistryRule; bytes: number } | undefined;
  for (const rule of rules) {
    const bytes = matched(rule.prefix, name);
    if (bytes !== undefined && rule.prefix.length > (best?.rule.prefix.length ?? 0)) {
      best = { rule, bytes };
    }
  }
  if (best?.rule.blocked !== true) return best;
  throw new UsageError("USAGE", `${name}: its registry is blocked in ${best.rule.file}`, {
    hint: `there it says blocked = true for ${best.rule.prefix}`,
  });
}

/** How much of a name a prefix takes; undefined when it is about others. */
function matched(prefix: string, name: string): number | undefined {
  const host = name.slice(0, name.indexOf("/"));
  let end: number;
  if (prefix.startsWith("*.")) {
    const domain = prefix.slice(1);
    const at = name.indexOf(domain);
    if (at <= 0 || at >= host.length) return undefined;
    end = at + domain.length;
  } else {
    if (!name.startsWith(prefix)) return undefined;
    end = prefix.length;
  }
  return end === name.length || "/:@".includes(name[end]!) ? end : undefined;
}

function moved(
  { location, insecure }: RegistryLocation,
  rest: string,
  { host, repository }: Named,
  file: string,
): Place {
  if (location === "") return { host, repository, insecure };
  const name = `${location}${rest}`;
  const slash = name.indexOf("/");
  const place = { host: name.slice(0, slash), repository: name.slice(slash + 1), insecure };
  if (slash > 0 && isPlace(place)) return place;
  throw new FormatError("MALFORMED", `${file}: location ${location}: makes no repository: ${name}`);
}

/** How to talk to a place: what the user says counts before what the machine's files say. */
export function optionsFor(place: Place, options: RegistryOptions): RegistryOptions {
  return { ...options, insecure: options.insecure ?? place.insecure };
}

/**
 * What `use` makes of the first place that has the image. The registry is closed after a failure;
 * else `use` has it.
 *
 * @throws what `use` throws for the last place, after which `onProblem` has heard of the others
 */
export async function withPullPlaces<T>(
  reference: RegistryReference,
  options: RegistryOptions,
  use: (registry: Registry) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const places = pullPlaces(reference, readRegistriesConf());
  const problems: string[] = [];
  for (const [i, place] of places.entries()) {
    const registry = new Registry(place, optionsFor(place, options));
    try {
      return await use(registry);
    } catch (error) {
      registry.close().catch(() => undefined);
      const isLast = i === places.length - 1;
      if (isLast || signal?.aborted === true || !(error instanceof SealfsError)) {
        for (const problem of problems) options.onProblem?.(problem);
        throw error;
      }
      problems.push(`mirror ${registry.label}: ${error.message}`);
    }
  }
  throw new Error("no place to ask");
}
