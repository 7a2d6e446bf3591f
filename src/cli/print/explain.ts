/**
 * What `sealfs explain` prints.
 *
 * @module
 */
import type { Explanation } from "../../inspect/explain.ts";

/** The two sides, likely causes, and the differences. */
export function explanationLines(explanation: Explanation): string[] {
  const { left, right, same, count, differences, causes } = explanation;
  const lines = [left, right].map(
    ({ target, digest, size, formatVersion }, i) =>
      `${i === 0 ? "left " : "right"}  ${digest}  ${target} (${size} bytes, format ${formatVersion})`,
  );
  if (same) return [...lines, "the same image, byte for byte"];
  lines.push("", "likely causes:");
  for (const { cause, differences: number, example } of causes) {
    const counted = number === 0 ? "" : ` (${number}, such as ${example})`;
    lines.push(`- ${cause}${counted}`);
  }
  if (count === 0) return lines;
  lines.push("", `${count} differences:`);
  for (const { path, what, left: a, right: b } of differences) {
    lines.push(`${path}: ${what}: left has ${a}, right ${b}`);
  }
  if (count > differences.length) lines.push(`and ${count - differences.length} more (--all)`);
  return lines;
}
