/**
 * The symlinks that the entries of one layer go through: followed with a warning, or refused.
 *
 * Spec: docs/profiles.md, "symlinks, strict".
 *
 * @module
 */
import type { MergeEntry } from "./merge-entry.ts";

/** Counts the entries that go through symlinks. */
export class FollowedLinks {
  readonly #strict: boolean;
  #first: { readonly item: MergeEntry; readonly link: string } | undefined;
  #last: MergeEntry | undefined;
  #count = 0;

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  /**
   * Notes that `item` goes through `link`, which is described; `what` is the path that does.
   *
   * @throws {@link FormatError} `AMBIGUOUS` when strict
   */
  note(item: MergeEntry, what: string, link: () => string): void {
    if (this.#strict) {
      const message = `${what}: expected only directories on the way, got ${link()}`;
      const hint = "without --strict it is followed inside the root";
      throw item.refuse("AMBIGUOUS", "symlinks, strict", message, hint);
    }
    this.#first ??= { item, link: link() };
    if (this.#last !== item) this.#count++;
    this.#last = item;
  }

  /** The warning about all of them; undefined when there were none. */
  warning(): string | undefined {
    if (this.#first === undefined) return undefined;
    const { item, link } = this.#first;
    return `${item.place()}: goes through ${link}, which is followed (${this.#count} such in all)`;
  }
}
