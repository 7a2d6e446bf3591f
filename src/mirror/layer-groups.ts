/**
 * Which objects of a layer to ask for together: those that lie near one another come in one
 * request, and what lies between them is passed over.
 *
 * @module
 */
import { planLayer } from "../seek/read-plan.ts";
import type { SeekLayer } from "../seek/layer.ts";
import type { ObjectPlace } from "../seek/place.ts";
import type { WantedObject } from "./source.ts";

/** An object and where it lies. */
export interface PlacedObject {
  readonly object: WantedObject;
  readonly place: ObjectPlace;
}

/** Objects of one layer in the order in which they lie, without overlap. */
export interface Run {
  readonly layer: SeekLayer;
  readonly objects: readonly PlacedObject[];
  /** In the uncompressed layer. */
  readonly offset: number;
  readonly length: number;
  /** Bytes of the blob. */
  readonly cost: number;
}

/** A request costs about as much as this many bytes. */
const REQUEST_BYTES = 64 * 1024;
/** Requests are not merged over this: several are under way at a time. */
const MOST_BYTES = 16 * 1024 * 1024;
/** Nor over this: each object under way takes memory. */
const MOST_OBJECTS = 1024;

/** Groups objects so that all of them together cost little more than has to be moved. */
export function groupObjects(
  layers: readonly SeekLayer[],
  objects: readonly PlacedObject[],
): Run[] {
  const sorted = [...objects].sort(
    ({ place: a }, { place: b }) => a.layer - b.layer || a.offset - b.offset,
  );
  const runs: Run[] = [];
  for (const placed of sorted) {
    const single = runOf(layers[placed.place.layer]!, [placed]);
    const last = runs.at(-1);
    const merged = last && merge(last, single);
    if (merged === undefined) runs.push(single);
    else runs[runs.length - 1] = merged;
  }
  return runs;
}

function runOf(layer: SeekLayer, objects: readonly PlacedObject[]): Run {
  const { place: first } = objects[0]!;
  const { place: last } = objects.at(-1)!;
  const length = last.offset + last.stored - first.offset;
  const { blob } = planLayer(layer, first.offset, length);
  return { layer, objects, offset: first.offset, length, cost: blob.end - blob.start };
}

/** Undefined when two requests are better. */
function merge(a: Run, b: Run): Run | undefined {
  if (a.layer !== b.layer || b.offset < a.offset + a.length) return undefined;
  const length = b.offset + b.length - a.offset;
  const { blob } = planLayer(a.layer, a.offset, length);
  const cost = blob.end - blob.start;
  // A layer that cannot be entered in the middle costs the same for one object as for all.
  const isFree = cost <= Math.max(a.cost, b.cost);
  const isCheap =
    cost <= a.cost + b.cost + REQUEST_BYTES &&
    cost <= MOST_BYTES &&
    a.objects.length < MOST_OBJECTS;
  if (!isFree && !isCheap) return undefined;
  const objects = a.objects as PlacedObject[];
  objects.push(...b.objects); // its own array since it began: there may be very many
  return { layer: a.layer, objects, offset: a.offset, length, cost };
}
