/**
 * Whether gzip's access points can be found with zlib's help: whether it stops at the ends of blocks
 * when {@link gunzipHandle} asks it to.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { type FoundPoint, PointFinder } from "../../seek/point-finder.ts";
import { gunzipHandle } from "./gunzip.ts";
import { tryDecoder } from "./zlib-handle.ts";

let works: boolean | undefined;

/** Whether this Node's private handle stops where we expect; tried once. */
export function gunzipPointsWorks(): boolean {
  works ??= tryPoints();
  return works;
}

/** Many blocks, in two members: points must be found in both. */
function tryPoints(): boolean {
  const text = Buffer.from(Array.from({ length: 4000 }, (_, i) => `${i * i} `).join(""));
  const members = [gzipSync(text, { memLevel: 1 }), gzipSync(text, { memLevel: 1, level: 1 })];
  const found: FoundPoint[] = [];
  const finder = new PointFinder((point) => found.push(point), 4096);
  const result = tryDecoder(
    (input, next, label) => gunzipHandle(input, next, label, finder),
    Buffer.concat(members),
  );
  const isLate = found.some(({ out }) => out >= text.length);
  return /^[0-9a-f]{64}$/.test(result) && found[0]?.out === 0 && isLate && found.length >= 4;
}
