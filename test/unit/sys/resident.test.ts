/** Giving back pages that were needed at the start only. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { hasLibc } from "../../../src/sys/koffi.ts";
import { droppableRanges, releaseResident } from "../../../src/sys/resident.ts";

const mapping = (head: string, anonymous: number) =>
  `${head}\nSize:                4 kB\nRss:                 4 kB\nAnonymous:           ${anonymous} kB\nVmFlags: rd mr mw me\n`;

test("only a file's own pages are dropped: read-only, private, and never written to", () => {
  const smaps = [
    mapping("00400000-00b6f000 r--p 00000000 fe:00 260689      /usr/bin/node", 0),
    mapping("00b72000-025fe000 r-xp 00772000 fe:00 260689      /usr/bin/node", 0),
    mapping("0563a000-0563e000 r--p 05239000 fe:00 260689      /usr/bin/node", 8), // relocated
    mapping("0563e000-0565d000 rw-p 0523d000 fe:00 260689      /usr/bin/node", 0),
    mapping("05aa0000-05b00000 rw-p 00000000 00:00 0           [heap]", 0),
    mapping("7f0000000000-7f0000001000 r--s 00000000 fe:00 7   /some/shared", 0),
    mapping("7f0000002000-7f0000003000 r--p 00000000 00:00 0 ", 0),
    mapping("7ffd837a6000-7ffd837a8000 r-xp 00000000 00:00 0   [vdso]", 0),
  ].join("");
  expect(droppableRanges(smaps)).toEqual([
    { start: 0x400000n, end: 0xb6f000n },
    { start: 0xb72000n, end: 0x25fe000n },
  ]);
});

test("a process goes on with less resident code than before", (context) => {
  context.skip(!hasLibc(), "needs koffi");
  const fileBacked = () =>
    Number(/^RssFile:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  const before = fileBacked();
  releaseResident();
  expect(fileBacked()).toBeLessThan(before);
  expect(droppableRanges(readFileSync("/proc/self/smaps", "utf8")).length).toBeGreaterThan(0);
});
