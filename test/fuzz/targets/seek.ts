/** Seek indexes: what is accepted can be asked for every object and every window. */
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { planRead } from "../../../src/seek/read-plan.ts";
import { SeekIndex, readSeekLayers } from "../../../src/seek/seek-index.ts";
import { accepted, same } from "../invariant.ts";

/** The image's objects are known from elsewhere; seeds and mutants are about these. */
export const fuzzObjects: ReadonlyMap<VerityDigest, number> = new Map(
  Array.from({ length: 6 }, (_, i) => [String(i + 1).repeat(64) as VerityDigest, 4096 * (i + 1)]),
);

export function fuzz(data: Uint8Array): void {
  const bytes = Uint8Array.from(data);
  for (const { points } of accepted(() => readSeekLayers(bytes)) ?? []) {
    for (let i = 0; i < Math.min(points.count, 200); i++) accepted(() => points.window(i));
  }
  const count = bytes[12] ?? 0;
  const objects = new Map([...fuzzObjects].slice(0, count % (fuzzObjects.size + 1)));
  for (const known of [objects, fuzzObjects]) {
    const index = accepted(() => SeekIndex.parse(bytes, known));
    if (index === undefined) continue;
    for (const digest of index.digests()) {
      const size = known.get(digest)!;
      same(size, index.place(digest)?.size, "bytes of an object");
      for (const range of [undefined, { start: 0, end: 1 }, { start: size - 1, end: size }]) {
        const plan = planRead(index, digest, range);
        if (plan === undefined) continue;
        const { blob, layer, skip, length } = plan;
        const fits = blob.start <= blob.end && blob.end <= layer.size && skip >= 0 && length >= 0;
        same(true, fits, "a read within the layer");
      }
    }
  }
}
