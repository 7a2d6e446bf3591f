/**
 * Text from elsewhere as it can be shown: names, and what servers and images say, may hold what a terminal
 * acts on.
 *
 * @module
 */

/**
 * Controls (C0 without tab and line feed, DEL, C1), what changes the direction of text, and what ends a
 * line or hides: characters that move the cursor, or let text look like another one.
 */
const CONTROL =
  // oxlint-disable-next-line eslint/no-control-regex
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/g;

/** The text with such characters as `\uhhhh`, as JSON writes them too. */
export function harmless(text: string): string {
  return text.replace(CONTROL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Whether a character has to be escaped where it is printed; here tab and line feed too. */
export function isControl(char: string): boolean {
  return char === "\t" || char === "\n" || char.search(CONTROL) >= 0;
}
