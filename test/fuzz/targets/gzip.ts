/** gzip members: zlib's handle and our own inflater agree, about output and about refusals. */
import { FormatError } from "../../../src/errors.ts";
import { gunzipHandle } from "../../../src/oci/codec/gunzip.ts";
import { gunzipOwn } from "../../../src/oci/codec/gunzip-own.ts";
import { PointFinder } from "../../../src/seek/point-finder.ts";
import { FuzzInput, bounded } from "../decoder-input.ts";
import { same } from "../invariant.ts";

export function fuzz(data: Uint8Array): void {
  const [handlePoints, ownPoints]: [number[], number[]] = [[], []];
  const handle = outcome(() => {
    const finder = new PointFinder(({ out }) => handlePoints.push(out), 4096);
    return gunzipHandle(new FuzzInput(data), () => Buffer.alloc(1 << 16), "layer", finder);
  });
  const own = outcome(() => {
    const finder = new PointFinder(({ out }) => ownPoints.push(out), 4096);
    return gunzipOwn(new FuzzInput(data), "layer", finder);
  });
  if (handle === "too much" || own === "too much") return;
  same(
    typeof handle === "string",
    typeof own === "string",
    `${handle.toString("latin1")} ${own.toString("latin1")}`,
  );
  if (typeof own === "string") return;
  same(handle, own, "zlib's handle, and our own");
  same(handlePoints, ownPoints, "access points");
}

/** The output, or the code of the error. */
function outcome(decode: () => Iterable<Uint8Array>): Buffer | string {
  try {
    return bounded(decode());
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
}
