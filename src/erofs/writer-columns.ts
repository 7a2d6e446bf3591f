/**
 * Columns of the writer's tables: typed arrays that grow.
 *
 * @module
 */

/** A column of twice the length with the same start. */
export function doubled<T extends ArrayLike<number> & { set(values: T): void }>(
  column: T,
  kind: new (length: number) => T,
): T {
  const longer = new kind(column.length * 2);
  longer.set(column);
  return longer;
}
