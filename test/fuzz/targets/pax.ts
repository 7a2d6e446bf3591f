/** Bodies of extended headers of tar archives. */
import { checkGlobalPax, parsePax } from "../../../src/tar/pax.ts";
import { accepted } from "../invariant.ts";

export function fuzz(data: Uint8Array): void {
  accepted(() => parsePax(data));
  accepted(() => checkGlobalPax(data));
}
