/**
 * Turns tuf-js's errors into ours: by their class, or where tuf-js has no class by their message.
 *
 * @module
 */
import { BadVersionError, ExpiredMetadataError, RuntimeError } from "tuf-js/dist/error.js";
import { NotFoundError, SealfsError, NetworkError, TrustError } from "../errors.ts";

const SHOWN_CHARS = 300;

/** Errors that tuf-js tells apart by their message only; a test makes tuf-js throw each. */
const messages: readonly { readonly says: RegExp; readonly code: "TUF_ROLLBACK" }[] = [
  // TUF 1.0.34, section 5.5.5: a snapshot that no longer has a file which an older one had.
  { says: /^Missing file .+ in new snapshot$/, code: "TUF_ROLLBACK" },
];

const hints = {
  TUF_EXPIRED: "its maintainers have not renewed it, or somebody hides that they have",
  TUF_ROLLBACK:
    "the repository offers older metadata than before, or files that do not belong together",
  BAD_TUF: undefined,
} as const;

/** What is known about the last file besides the updater's error. */
export interface LastFile {
  /** Why it could not be read; undefined when it was read. */
  readonly failure: SealfsError | undefined;
  /** Why it was refused; undefined when it was not. */
  readonly refusal: Error | undefined;
}

/** @param thrown by the updater of the repository at `place` */
export function refusalOf(
  thrown: unknown,
  { failure, refusal }: LastFile,
  place: string,
): SealfsError {
  if (thrown instanceof SealfsError) return thrown;
  if (failure instanceof NotFoundError) {
    return new NetworkError("BAD_RESPONSE", `${failure.message}, though the repository lists it`, {
      cause: thrown,
    });
  }
  if (failure !== undefined) return failure;
  const cause = isWrapped(refusal, thrown) ? refusal : thrown;
  const said = printable(cause instanceof Error ? cause.message : String(cause));
  const code = codeOf(cause, said);
  return new TrustError(code, `TUF repository ${place}: ${said}`, { cause, hint: hints[code] });
}

/** Whether the updater's message is its own followed by that of `refusal`. */
function isWrapped(refusal: Error | undefined, thrown: unknown): boolean {
  if (!(thrown instanceof RuntimeError) || refusal === undefined) return false;
  return thrown.message.endsWith(refusal.message);
}

function codeOf(error: unknown, said: string): keyof typeof hints {
  if (error instanceof ExpiredMetadataError) return "TUF_EXPIRED";
  if (error instanceof BadVersionError) return "TUF_ROLLBACK";
  return messages.find(({ says }) => says.test(said))?.code ?? "BAD_TUF";
}

/** What tuf-js says may hold a server's text. */
export function printable(message: string): string {
  return message.replace(/[^\x20-\x7e]+/g, " ").slice(0, SHOWN_CHARS);
}
