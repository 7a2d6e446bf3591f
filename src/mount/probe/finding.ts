/**
 * The result of trying something on this machine.
 *
 * @module
 */
import type { SystemError } from "../../errors.ts";
import { defined } from "../../optional.ts";

/** Why something does not work: an error's code for programs, its message, and what to do about it. */
export interface Lack {
  readonly code: string;
  readonly reason: string;
  readonly hint?: string;
}

/** It works, perhaps in a certain way; or why not. */
export type Finding =
  { readonly ok: true; readonly detail?: string } | ({ readonly ok: false } & Lack);

/**
 * The finding of work that throws when something is not possible. `code` is the reason as long as the
 * error has none that says more than that a system call failed.
 */
export function attempt(work: () => string | undefined | void, code?: LackCode): Finding {
  try {
    const detail = work();
    return detail === undefined ? { ok: true } : { ok: true, detail };
  } catch (error) {
    const { message, hint, code: own } = error as Error & { hint?: string; code?: string };
    const says = own !== undefined && (speaking.has(own) || own.startsWith("NO_"));
    const known = says && own !== "NO_FILE" ? own : (code ?? own ?? "IO");
    return defined({ ok: false, code: known, reason: message, hint });
  }
}

type LackCode = SystemError["code"];

const speaking: ReadonlySet<string> = new Set(["PERMISSION", "READ_ONLY"]);

/** What is lacking, each reason once. */
export function lacksOf(findings: readonly Finding[]): Lack[] {
  const lacks = new Map<string, Lack>();
  for (const finding of findings) {
    if (finding.ok || lacks.has(finding.reason)) continue;
    const { ok: _, ...lack } = finding;
    lacks.set(finding.reason, lack);
  }
  return [...lacks.values()];
}
