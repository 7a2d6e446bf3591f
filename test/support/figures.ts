/**
 * The figures of ARCHITECTURE.md, as SVG.
 *
 * @module
 */
import { pure, roomImports, rows } from "./house.ts";

const FONT = 'font-family="ui-sans-serif, system-ui, sans-serif"';
const INK = "#1f2933";
const FILLS = { pure: "#e3f2e1", files: "#e6eefb", entry: "#fdf0d9" } as const;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

const HEIGHT = 30;
const ROW = 62;
const WIDTH = 1000;

/**
 * The rooms in their rows, foundations at the bottom, and what each imports that no other implies; the
 * files of `src/` itself, which nearly all import, without arrows.
 */
export function drawHouse(): string {
  const imports = roomImports();
  const boxes = new Map<string, Box>();
  for (const [row, names] of rows.entries()) {
    const y = 20 + (rows.length - 1 - row) * ROW;
    const widths = names.map((name) => 8.5 * name.length + 24);
    const total = widths.reduce((sum, width) => sum + width, 0);
    const gap = (WIDTH - total) / (names.length + 1);
    // Rows lean to one side and the other, so that fewer arrows lie over one another.
    let x = gap + (names.length < 3 ? (row % 3) * 110 - 110 : 0);
    for (const [i, name] of names.entries()) {
      boxes.set(name, { x, y, width: widths[i]! });
      x += widths[i]! + gap;
    }
  }
  const arrows = [...imports].flatMap(([room, targets]) =>
    [...targets]
      .filter((target) => !target.endsWith(".ts") && !isImplied(imports, room, target))
      .map((target) => arrow(boxes.get(room)!, boxes.get(target)!)),
  );
  const rooms = [...boxes].map(([name, box]) => room(name, box));
  return svg(WIDTH, 20 + rows.length * ROW, "The rooms of src/", [...arrows, ...rooms]);
}

/** Whether a room reaches another by way of a third, too. */
function isImplied(imports: ReadonlyMap<string, Set<string>>, from: string, to: string): boolean {
  const seen = new Set<string>();
  const reaches = (room: string): boolean => {
    if (room === to) return true;
    if (seen.has(room)) return false;
    seen.add(room);
    return [...(imports.get(room) ?? [])].some(reaches);
  };
  return [...imports.get(from)!].some((next) => next !== to && reaches(next));
}

function room(name: string, { x, y, width }: Box): string {
  const isEntry = name.startsWith("cli") || name === "index.ts";
  const fill = pure.includes(name) ? FILLS.pure : isEntry ? FILLS.entry : FILLS.files;
  const text = `<text x="${round(x + width / 2)}" y="${y + 20}" text-anchor="middle">${name}</text>`;
  return `<rect x="${round(x)}" y="${y}" width="${round(width)}" height="${HEIGHT}" rx="4" fill="${fill}" stroke="${INK}"/>${text}`;
}

function arrow(from: Box, to: Box): string {
  const [x1, y1] = [from.x + from.width / 2, from.y + HEIGHT];
  const [x2, y2] = [to.x + to.width / 2, to.y];
  const bend = Math.min(60, (y2 - y1) / 2);
  const path = `M${round(x1)} ${y1} C${round(x1)} ${y1 + bend} ${round(x2)} ${y2 - bend} ${round(x2)} ${y2}`;
  return `<path d="${path}" fill="none" stroke="#9aa5b1"/>`;
}

/** Who does what between a reader and a store: the lanes, and the steps from one to another. */
const LANES = ["reader", "kernel", "server thread", "store", "main thread, mirrors"] as const;
const STEPS: readonly (readonly [from: number, to: number, text: string])[] = [
  [0, 1, "read(2)"],
  [1, 0, "in the page cache: checked when it came in"],
  [1, 2, "READ over /dev/fuse (fuse/request-loop.ts)"],
  [2, 3, "the object, by the digest in the image (fuse/object-reader.ts)"],
  [3, 2, "its blocks, and leaf hashes that hash to its name"],
  [2, 4, "in no store: handed over (fuse/deferred-replies.ts)"],
  [4, 3, "blocks that match their leaves (mirror/lazy-objects.ts)"],
  [2, 2, "each block is hashed and compared with its leaf"],
  [2, 1, "the same buffer, or EIO and a line in the log"],
  [1, 0, "bytes that the signature vouches for"],
];

/** A read in mode fuse or hybrid, top to bottom. */
export function drawRead(): string {
  const at = (lane: number) => 100 + lane * 200;
  const end = 70 + STEPS.length * 46;
  const lanes = LANES.map(
    (name, i) =>
      `<text x="${at(i)}" y="26" text-anchor="middle" font-weight="600">${name}</text>` +
      `<path d="M${at(i)} 38 V${end}" stroke="#9aa5b1" stroke-dasharray="4 4"/>`,
  );
  const steps = STEPS.map(([from, to, text], i) => {
    const y = 72 + i * 46;
    if (from === to) {
      return (
        label(at(from), y, text) + `<circle cx="${at(from)}" cy="${y + 6}" r="4" fill="${INK}"/>`
      );
    }
    const tip = to > from ? -8 : 8;
    const line = `<path d="M${at(from)} ${y + 6} H${at(to)}" stroke="${INK}"/>`;
    const head = `<path d="M${at(to)} ${y + 6} l${tip} -4 v8 z" fill="${INK}"/>`;
    return label((at(from) + at(to)) / 2, y, text) + line + head;
  });
  return svg(WIDTH, end + 20, "A read", [...lanes, ...steps]);
}

/** Text on a white ground, so that lines do not run through it. */
function label(x: number, y: number, text: string): string {
  const width = 6.3 * text.length;
  const left = Math.max(4, Math.min(WIDTH - width - 4, x - width / 2));
  const ground = `<rect x="${round(left)}" y="${y - 13}" width="${round(width)}" height="16" fill="#ffffff"/>`;
  return `${ground}<text x="${round(left + width / 2)}" y="${y}" text-anchor="middle" font-size="12">${text}</text>`;
}

const round = (value: number) => Math.round(value * 10) / 10;

function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${FONT} font-size="14" fill="${INK}">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}
