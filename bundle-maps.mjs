/**
 * Makes the source maps of the bundles small: all that is read of them is which line of `src/` a stack
 * trace is about.
 *
 * @module
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Replaces every map below `folder`. */
export function thinMaps(folder) {
  for (const file of readdirSync(folder, { recursive: true })) {
    if (!file.endsWith(".map")) continue;
    const map = JSON.parse(readFileSync(join(folder, file), "utf8"));
    writeFileSync(join(folder, file), JSON.stringify(thin(map)));
  }
}

/** Leaves one entry for each source line that a generated line has; the others, and names, take most of the room. */
function thin({ mappings, ...map }) {
  const [read, written] = [[], []];
  const lines = mappings.split(";").map((line) => {
    let place;
    read[0] = written[0] = 0; // columns count from the start of the line, all else goes on
    return line.split(",").flatMap((segment) => {
      const fields = decodeVlq(segment).slice(0, 4);
      fields.forEach((delta, i) => (read[i] = (read[i] ?? 0) + delta));
      const found = fields.length < 4 ? undefined : `${read[1]}:${read[2]}`;
      if (found === place) return [];
      place = found;
      const deltas = fields.map((_, i) => read[i] - (written[i] ?? 0));
      fields.forEach((_, i) => (written[i] = read[i]));
      return [deltas.map(encodeVlq).join("")];
    });
  });
  return { ...map, names: [], mappings: lines.map((segments) => segments.join(",")).join(";") };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Numbers in base 64, five bits a digit, the lowest first; bit 0 of a number is its sign. */
function decodeVlq(text) {
  const numbers = [];
  let [value, shift] = [0, 0];
  for (const letter of text) {
    const digit = DIGITS.indexOf(letter);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return numbers;
}

function encodeVlq(number) {
  let value = number < 0 ? (-number << 1) | 1 : number << 1;
  let text = "";
  do {
    const digit = value & 31;
    value >>= 5;
    text += DIGITS[value > 0 ? digit | 32 : digit];
  } while (value > 0);
  return text;
}
