/**
 * Where the threads of a mount find leaf hashes.
 *
 * @module
 */
import type { ObjectTableMemory } from "./object-table.ts";
import type { SharedLeavesMemory } from "./shared-leaves.ts";

/** Where a mount's threads look for leaf hashes: by nids, or by the nodes of an object table. */
export interface LeafPlace {
  readonly leaves: SharedLeavesMemory;
  readonly objects?: ObjectTableMemory;
}
