/**
 * gzip as {@link gunzipHandle} reads it, stopping where access points may lie. zlib stops at the end
 * of a block when it is asked to (`Z_BLOCK`).
 *
 * @module
 */
import { constants, createGunzip, gzipSync } from "node:zlib";
import { type FoundPoint, PointFinder } from "../seek/point-finder.ts";
import { gzipError, trailing } from "./gunzip.ts";
import { type DecoderInput, type NextBuffer, ZlibHandle, tryDecoder } from "./zlib-handle.ts";

const CHUNK = 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** Inflates as {@link gunzipHandle}, and tells `finder` what it does. */
export function* gunzipPoints(
  input: DecoderInput,
  next: NextBuffer,
  label: string,
  finder: PointFinder,
): Generator<Uint8Array, void> {
  const handle = new ZlibHandle(createGunzip({ chunkSize: CHUNK }));
  try {
    let output = next();
    let filled = 0;
    for (const chunk of input.chunks()) {
      let used = 0;
      for (;;) {
        if (filled === output.length) {
          yield output;
          output = next();
          filled = 0;
        }
        const from = { used, filled };
        const { patience } = finder;
        const room = Math.min(output.length, filled + (patience || output.length));
        const flush = patience > 0 ? constants.Z_NO_FLUSH : constants.Z_BLOCK;
        const target = room < output.length ? output.subarray(0, room) : output;
        ({ used, filled } = handle.write(flush, chunk, used, target, filled));
        if (handle.error) throw gzipError(handle.error.code, handle.error.message, label);
        if (used === from.used && filled === from.filled) break; // it wants more input, or no more
        finder.step(
          chunk.subarray(from.used, used),
          output.subarray(from.filled, filled),
          patience === 0,
        );
      }
      if (used < chunk.length) throw trailing(input.taken - chunk.length + used, label);
    }
    // Only now does it say that a member is cut short.
    if (filled === output.length) {
      yield output;
      output = next();
      filled = 0;
    }
    handle.write(constants.Z_FINISH, NOTHING, 0, output, filled);
    if (handle.error) throw gzipError(handle.error.code, handle.error.message, label);
    finder.end();
    if (filled > 0) yield output.subarray(0, filled);
  } finally {
    handle.close();
  }
}

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
    (input, next, label) => gunzipPoints(input, next, label, finder),
    Buffer.concat(members),
  );
  const isLate = found.some(({ out }) => out >= text.length);
  return /^[0-9a-f]{64}$/.test(result) && found[0]?.out === 0 && isLate && found.length >= 4;
}
