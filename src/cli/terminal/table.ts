/**
 * Text in columns.
 *
 * @module
 */

/** How the cells of a column are set. */
export interface Column {
  /** Characters; of a whole table's column, that of its widest cell where this is undefined. */
  readonly width?: number;
  readonly align?: "left" | "right";
  /** Spaces before it; 2 by default. */
  readonly gap?: number;
}

/** One line of a table whose rows come one after the other. A cell that is too wide moves what is behind it. */
export function tableRow(cells: readonly string[], columns: readonly Column[]): string {
  let line = "";
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i]!;
    const column = columns[i];
    const width = column?.width ?? 0;
    if (i > 0) line += " ".repeat(column?.gap ?? 2);
    if (column?.align === "right") line += cell.padStart(width);
    else line += i === cells.length - 1 ? cell : cell.padEnd(width);
  }
  return line;
}

/** One line for each row, with columns as wide as their widest cells. */
export function tableLines(
  rows: readonly (readonly string[])[],
  columns: readonly Column[] = [],
): string[] {
  const measured = (rows[0] ?? []).map((_, i) => ({
    width: Math.max(...rows.map((row) => row[i]!.length)),
    ...columns[i],
  }));
  return rows.map((row) => tableRow(row, measured));
}

const LABELS: readonly Column[] = [{ width: 11 }, { gap: 1 }];

/** What is known of one thing: a line for each fact, its label in front. */
export function factLines(facts: readonly (readonly [label: string, value: string])[]): string[] {
  return facts.map((fact) => tableRow(fact, LABELS));
}
