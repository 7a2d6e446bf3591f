/**
 * The errors of tuf-js in our words. Its classes are not told apart everywhere (some causes are only
 * in a message), so the wording decides where the class does not.
 *
 * @module
 */
import { BadVersionError, ExpiredMetadataError } from "tuf-js/dist/error.js";
import { NotFoundError, SealfsError, TransportError, TrustError } from "../errors.ts";

const EXPIRED = /is expired$/;
const BACKWARDS =
  /less than current version|Expected version|does not match snapshot version|doesn't match timestamp|^Missing file /;

/** @param failure what the fetcher knows about the last file */
export function refusalOf(
  error: unknown,
  failure: SealfsError | undefined,
  place: string,
): SealfsError {
  if (error instanceof SealfsError) return error;
  if (failure instanceof NotFoundError) {
    return new TransportError("REFUSED", `${failure.message}, though the repository lists it`, {
      cause: error,
    });
  }
  if (failure !== undefined) return failure;
  const said = innermost(error instanceof Error ? error.message : String(error));
  const message = `TUF repository ${place}: ${said}`;
  if (error instanceof ExpiredMetadataError || EXPIRED.test(said)) {
    return new TrustError("TUF_EXPIRED", message, {
      cause: error,
      hint: "whoever keeps the repository has not renewed it, or somebody hides that they have",
    });
  }
  if (error instanceof BadVersionError || BACKWARDS.test(said)) {
    return new TrustError("TUF_ROLLBACK", message, {
      cause: error,
      hint: "the repository offers older metadata than before, or files that do not belong together",
    });
  }
  return new TrustError("BAD_TUF", message, { cause: error });
}

/** tuf-js wraps one message into another; what it says may hold a server's text. */
function innermost(message: string): string {
  const inner = message.replace(/^Unable to load \w+(?: metadata)? error (?:\w*Error: )?/, "");
  return inner.replace(/[^\x20-\x7e]+/g, " ").slice(0, 300);
}
