/**
 * GNU tar, bsdtar, Python's tarfile and umoci as oracles over archives that bend the rules: what all of
 * them read alike is read so, and where two differ the archive is refused.
 *
 * TAR_SEED=N begins at another seed, TAR_CASES=N takes as many.
 */
import { expect, test } from "vitest";
import { oracle } from "../../support/oracle.ts";
import { type RandomTar, randomTar } from "../../support/random-tar.ts";
import { hasProgram } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { type Reading, type Readings, readByOthers, readByUs } from "../../support/tar-readers.ts";

const slow = process.env["SLOW"] === "1";
const cases = Number(process.env["TAR_CASES"] ?? (slow ? 6000 : 400));
const anySeed = slow ? Math.floor(Math.random() * 1e9) : 1;
const first = Number(process.env["TAR_SEED"] ?? anySeed);
const BATCH = 200;

/** Readers that are known to be wrong, or not to know something, and in which archives. */
const knownWrong: readonly [keyof Readings, (tar: RandomTar, reading: Reading) => boolean][] = [
  // It extracts neither contiguous files nor anything behind a global header.
  ["umoci", ({ made }, reading) => reading === null && /"7"|\bg\b/.test(made)],
  // It sets no xattrs without a value.
  ["umoci", ({ made }) => /SCHILY\.xattr\.[^=]*=\\n/.test(made)],
  // It takes the type of a device from the mode, too.
  ["umoci", ({ made }, reading) => reading === null && /typedMode/.test(made)],
  // It leaves away a hole at the end that no empty segment marks, and pads each segment.
  ["tar", ({ made }) => /sparse/.test(made)],
  // It rounds times before 1970 up.
  ["bsdtar", ({ made }) => /mtime=-\d+\.\d*[1-9]/.test(made)],
  // It wants pax records to be UTF-8.
  ["bsdtar", ({ made }, reading) => reading === null && made.includes("\xff")],
];

/** What is refused although the four agree, because others do not or a name would be hidden. */
const knownStrict = [
  /expected only zeros after the end marker/,
  /expected an entry after a pax header/,
  /expected 0 for a directory in a pax header/,
  /at most 130 bytes in a star header/,
  /GNU long (link )?name: expected a name, got none/,
];

test.skipIf(oracle("umoci") === undefined || !hasProgram("bsdtar") || process.getuid?.() !== 0)(
  `archives are read as four readers do, or refused (${cases} from seed ${first})`,
  { timeout: 3_600_000 },
  () => {
    const counts = { "read alike": 0, "refused by all": 0, "refused as readers differ": 0 };
    const wrong: string[] = [];
    for (let at = first; at < first + cases; at += BATCH) {
      const size = Math.min(BATCH, first + cases - at);
      const tars = Array.from({ length: size }, (_, i) => randomTar(at + i));
      const bytes = tars.map((tar) => tar.bytes);
      const readings = readByOthers(scratchFolder(), oracle("umoci")!, bytes);
      for (const [i, tar] of tars.entries()) {
        const { verdict, refusal } = judge(tar, readings[i]!);
        if (verdict in counts) counts[verdict as keyof typeof counts]++;
        else wrong.push(`${verdict}: seed ${tar.seed}: ${tar.made} ${refusal}`);
      }
    }
    console.log(`${cases} archives from seed ${first}:`, counts);
    expect(wrong).toEqual([]);
  },
);

function judge(tar: RandomTar, readings: Readings) {
  const { lines, refusal } = readByUs(tar.bytes);
  const ours = lines?.join("\n");
  const others = Object.entries(readings) as [keyof Readings, Reading][];
  const texts = others.map(([, reading]) => reading?.join("\n"));
  if (ours === undefined) {
    if (texts.every((text) => text === undefined)) return { verdict: "refused by all", refusal };
    const alike = texts.every((text) => text === texts[0]);
    const isKnown = knownStrict.some((known) => known.test(refusal));
    const verdict = alike && !isKnown ? "refused, but all read it" : "refused as readers differ";
    return { verdict, refusal };
  }
  const differs = others.some(
    ([reader, reading], i) =>
      texts[i] !== ours &&
      !knownWrong.some(([who, isWrong]) => who === reader && isWrong(tar, reading)),
  );
  return { verdict: differs ? "read otherwise than others do" : "read alike", refusal };
}
