/**
 * What was measured: values by row and system, and their medians, bests and ratios as a table.
 *
 * @module
 */
import { median } from "./tools.mjs";

/** Rows of values. */
export class Results {
  /** @type {Map<string, { unit: string, values: Map<string, number[]> }>} */
  #rows = new Map();

  note(row, unit, system, value) {
    let entry = this.#rows.get(row);
    if (entry === undefined) this.#rows.set(row, (entry = { unit, values: new Map() }));
    const values = entry.values.get(system) ?? [];
    entry.values.set(system, values);
    values.push(value);
  }

  /** Medians (and the best) of every row. */
  printTable(systems) {
    const width = 17;
    console.log(["".padEnd(30), ...systems.map((name) => name.padStart(width))].join(""));
    for (const [row, { unit, values }] of this.#rows) {
      const cells = systems.map((name) => {
        const all = values.get(name);
        const text = all ? `${number(median(all))} (${number(Math.min(...all))})` : "-";
        return text.padStart(width);
      });
      console.log(`${`${row}, ${unit}`.padEnd(30)}${cells.join("")}`);
    }
  }

  /**
   * The median over the rounds of one system's value by the other's, with the ratio of their bests,
   * which other work on the machine disturbs least; and whether the first is within `target`.
   */
  printRatio(row, one, other, target) {
    const values = this.#rows.get(row)?.values;
    const [ones, others] = [values?.get(one), values?.get(other)];
    if (!ones || !others) return;
    const ratio = median(ones.map((value, i) => value / others[i]));
    const best = Math.min(...ones) / Math.min(...others);
    const verdict =
      target === undefined
        ? ""
        : `, target ${target.toFixed(2)}: ${ratio <= target ? "yes" : "NO"}`;
    console.log(
      `  ${row.padEnd(26)} ${`${one}/${other}`.padEnd(20)} ${ratio.toFixed(2)} (best ${best.toFixed(2)})${verdict}`,
    );
  }
}

const number = (value) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
