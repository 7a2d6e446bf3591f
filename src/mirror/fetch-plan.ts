/**
 * Which objects are to come from where, before anything is asked: each from the first source that has
 * it as far as is known, and from sources that give several together, in groups.
 *
 * @module
 */
import type { Health } from "./health.ts";
import type { ObjectGroup, ObjectSource, SourceKind, WantedObject } from "./source.ts";

/** One request. */
export type FetchUnit =
  | { readonly source: ObjectSource; readonly group: ObjectGroup }
  | { readonly source: ObjectSource; readonly object: WantedObject; readonly cost: number };

/** What a request is to give. */
export function objectsOf(unit: FetchUnit): readonly WantedObject[] {
  return "group" in unit ? unit.group.objects : [unit.object];
}

/** What one source is to give. */
export interface PlannedSource {
  readonly name: string;
  readonly kind: SourceKind;
  readonly requests: number;
  readonly objects: number;
  /** Bytes of these objects. */
  readonly bytes: number;
  /** Bytes to be moved for them. */
  readonly cost: number;
}

export interface FetchPlan {
  readonly units: readonly FetchUnit[];
  /** Objects that no source has, as far as they know. */
  readonly absent: readonly WantedObject[];
}

/** Plans in the order of the sources; those that are cooling down come last. */
export function planFetch(
  objects: Iterable<WantedObject>,
  sources: readonly ObjectSource[],
  health: Health,
): FetchPlan {
  const bySource = new Map<ObjectSource, { object: WantedObject; cost: number }[]>();
  const absent: WantedObject[] = [];
  for (const object of objects) {
    let found = false;
    // An object that every source is known to lack is asked for all the same: why, its error tells.
    const { ask, faults } = health.order(sources, object);
    for (const source of [...ask, ...faults.map((fault) => fault.source)]) {
      const cost = source.cost(object);
      if (cost === undefined) continue;
      const wanted = bySource.get(source);
      if (wanted === undefined) bySource.set(source, [{ object, cost }]);
      else wanted.push({ object, cost });
      found = true;
      break;
    }
    if (!found) absent.push(object);
  }
  const units: FetchUnit[] = [];
  for (const source of sources) {
    const wanted = bySource.get(source);
    if (wanted === undefined) continue;
    if (source.groups === undefined) {
      for (const { object, cost } of wanted) units.push({ source, object, cost });
    } else {
      const groups = source.groups(wanted.map(({ object }) => object));
      for (const group of groups) units.push({ source, group });
    }
  }
  return { units, absent };
}

/** The plan by source, in its order. */
export function summarize({ units }: FetchPlan): PlannedSource[] {
  const sums = new Map<ObjectSource, { -readonly [K in keyof PlannedSource]: PlannedSource[K] }>();
  for (const unit of units) {
    const { name, kind } = unit.source;
    const sum = sums.get(unit.source) ?? { name, kind, requests: 0, objects: 0, bytes: 0, cost: 0 };
    sums.set(unit.source, sum);
    const objects = objectsOf(unit);
    sum.requests += 1;
    sum.objects += objects.length;
    sum.bytes += objects.reduce((bytes, { size }) => bytes + size, 0);
    sum.cost += "group" in unit ? unit.group.cost : unit.cost;
  }
  return [...sums.values()];
}
