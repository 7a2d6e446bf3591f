/** Smaller inputs that fail as a given one does. @module */

/** The kind of a failure: its class and message, without what differs from input to input. */
export function kindOf(error) {
  const [line] = String(error?.message ?? error).split("\n");
  const stem = line
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .replace(/\b(?:0x[0-9a-f]+|[0-9a-f]*\d[0-9a-f]*)\b/gi, "0");
  return `${error?.name ?? typeof error} ${error?.code ?? ""} ${stem}`;
}

const without = (bytes, at, size) =>
  Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);

function zeroed(bytes, at, size) {
  const end = Math.min(at + size, bytes.length);
  if (bytes.subarray(at, end).every((byte) => byte === 0)) return undefined;
  return Buffer.from(bytes).fill(0, at, end);
}

/**
 * Leaves out pieces of `bytes`, then sets pieces of the rest to zero, large ones first, as long as
 * `fails` says of the result that it still fails in the same way. Ends early when `isLate` says so.
 */
export async function minimise(bytes, fails, isLate = () => false) {
  let best = Buffer.from(bytes);
  const pass = async (change, moves) => {
    let changed = false;
    for (let size = 2 ** Math.floor(Math.log2(best.length || 1)); size >= 1; size /= 2) {
      for (let at = 0; at < best.length && !isLate();) {
        const smaller = change(best, at, size);
        const taken = smaller !== undefined && (await fails(smaller));
        if (taken) [best, changed] = [smaller, true];
        if (!taken || moves) at += size;
      }
    }
    return changed;
  };
  while (await pass(without, false));
  await pass(zeroed, true);
  return best;
}
