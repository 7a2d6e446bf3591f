/**
 * The result of trying something on this machine.
 *
 * @module
 */

/** It works, perhaps in a certain way; or why not, and what to do about it. */
export type Finding =
  | { readonly ok: true; readonly detail?: string }
  | { readonly ok: false; readonly reason: string; readonly hint?: string };

/** The finding of work that throws when something is not possible. */
export function attempt(work: () => string | undefined | void): Finding {
  try {
    const detail = work();
    return detail === undefined ? { ok: true } : { ok: true, detail };
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string };
    return { ok: false, reason: message, ...(hint === undefined ? {} : { hint }) };
  }
}
