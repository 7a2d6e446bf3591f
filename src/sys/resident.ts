/**
 * Pages that a process does not need any more after its start: free memory of the C library, and code
 * of programs and libraries that ran once. What is needed after all comes from the page cache again,
 * as it came the first time.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { hasLibc, lazy, loadLibc } from "./koffi.ts";

const MADV_DONTNEED = 4;

const calls = lazy(() => ({
  madvise: loadLibc().func<[bigint, number, number]>(
    "int madvise(intptr_t address, size_t length, int advice)",
  ),
}));

/** Gives back what can be given back; without koffi nothing is. */
export function releaseResident(): void {
  if (!hasLibc()) return;
  trimHeap();
  try {
    for (const { start, end } of droppableRanges(readFileSync("/proc/self/smaps", "utf8"))) {
      calls().madvise(start, Number(end - start), MADV_DONTNEED);
    }
  } catch {
    // without /proc it stays as it is
  }
}

function trimHeap(): void {
  try {
    loadLibc().func<[number]>("int malloc_trim(size_t pad)")(0);
  } catch {
    // another C library than glibc
  }
}

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * The mappings in the text of a `smaps` file (proc_pid_smaps(5)) that are a file's and nothing else:
 * private, never written to, so that dropping their pages loses nothing.
 */
export function droppableRanges(smaps: string): Range[] {
  const ranges: Range[] = [];
  let range: Range | undefined;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [0-9a-f]+ \S+ [1-9]\d* +\//.exec(line);
    if (head !== null) range = { start: BigInt(`0x${head[1]}`), end: BigInt(`0x${head[2]}`) };
    else if (/^[0-9a-f]+-/.test(line)) range = undefined;
    // Relocated pages are read-only by now, but the process's own.
    else if (range !== undefined && /^Anonymous: +0 kB$/.test(line)) ranges.push(range);
  }
  return ranges;
}
