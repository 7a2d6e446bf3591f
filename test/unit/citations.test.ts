/**
 * Every citation leads somewhere: to a heading of a document in this repository, or to a source that
 * is published elsewhere and has a name of its own.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { imageRules } from "../../src/erofs/image-rules.ts";
import { profileRules } from "../../src/tree/merge-entry.ts";
import { profileNames } from "../../src/tree/merge.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const self = "test/unit/citations.test.ts";

/** What may be cited without being here; a section or heading of it stands after its name. */
const published: readonly RegExp[] = [
  // Standards.
  /RFC \d+/,
  /FIPS \d+-\d/,
  /ITU-T X\.\d+/,
  /IANA special-purpose address registries/,
  /POSIX\.1-2017 pax/,
  /draft-ietf-sshm-ssh-agent/,
  // Specifications of formats and protocols.
  /OCI image spec(?:ification)?/,
  /OCI distribution spec/,
  /Docker [Ii]mage (?:specification|manifest)/,
  /distribution, "Token Authentication Specification"/,
  /DSSE 1\.0\.2/,
  /in-toto attestation framework/,
  /Sigstore bundle v0\.3/,
  /TUF 1\.0\.34/,
  /TOML 1\.0\.0/,
  /theupdateframework\/tuf-conformance/,
  /OpenSSH PROTOCOL\.(?:sshsig|agent)/,
  /minisign's "/,
  /xxHash fast digest algorithm/,
  /GNU tar manual/,
  /containerd\/stargz-snapshotter/,
  /composefs-rs, /,
  /docker-credential-helpers/,
  // The kernel's documentation and headers, manual pages, and advisories.
  /(?:fs-verity |overlayfs )?kernel documentation/,
  /include\/uapi\//,
  /\b[a-z][\w.-]*\(\d\)/,
  /(?:go-tuf )?GHSA-[\w-]+/,
  /CVE-\d{4}-\d+/,
];
const anyPublished = new RegExp(published.map(({ source }) => source).join("|"));
const startsPublished = new RegExp(`^(?:${anyPublished.source})`);

/** What does not say where to look. */
const nameless: readonly RegExp[] = [
  /\bCase \d/,
  /\bspec\/[\w-]+/,
  /\bhostile[- ]inputs?,? \d/i,
  /list of hostile inputs/,
  /hostile inputs to a store/,
  /(?:image format|durability|threat model),? (?:"|sections? \d)/i,
];

const sources = ["src", "test", "bench"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(?:ts|mts|mjs|js|sh)$/.test(path) && !path.includes("vectors/"))
    .map((path) => `${folder}/${path}`)
    .filter((path) => path !== self),
);
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** The text with its lines joined to paragraphs, so that what is cited is in one piece. */
function unwrapped(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.replace(/^\s*(?:\*(?!\/)|\/\/|#(?!#)\s)?\s*/, ""));
  return lines.map((line) => (line === "" ? "\n" : `${line} `)).join("");
}

/** The comments of a source file, one text each. */
function commentsOf(text: string): string[] {
  const found = text.matchAll(/\/\*\*?[^]*?\*\/|(?:(?:^|\n)[ \t]*\/\/[^\n]*)+|[ \t]\/\/ [^\n]*/g);
  return [...found].map(([comment]) => unwrapped(comment));
}

/** The comments of a source file, and what its tests are called. */
function proseOf(text: string): string[] {
  const titles = text.matchAll(/\b(?:test|describe)\b[^"`\n]*(["`])(.*?)\1/g);
  return [...commentsOf(text), ...[...titles].map((match) => match[2]!)];
}

/** A citation of a document of this repository, and what of it. */
interface Citation {
  readonly path: string;
  readonly headings: readonly string[];
  readonly numbers: readonly number[];
}

const HEADINGS = /^(?:(?:, |, and | and )"[^"]+")+/;
const NUMBERS = /^(?:(?:, |, and | and | to )\d+)+/;

function citationsIn(text: string): Citation[] {
  const found = text.matchAll(/(?<![\w/.-])(docs\/[a-z0-9-]+\.md|[A-Z]{4,}\.md)/g);
  return [...found].map(({ 0: path, index }) => {
    const rest = text.slice(index + path.length);
    const headings = HEADINGS.exec(rest)?.[0] ?? "";
    const numbers = NUMBERS.exec(rest)?.[0] ?? "";
    return {
      path,
      headings: [...headings.matchAll(/"([^"]+)"/g)].map((match) => match[1]!),
      numbers: expand(numbers),
    };
  });
}

/** `, 107 to 109 and 114` as 107, 108, 109, 114. */
function expand(text: string): number[] {
  const numbers: number[] = [];
  for (const [, word, digits] of text.matchAll(/(,|and|to) (\d+)/g)) {
    const number = Number(digits);
    const first = word === "to" ? numbers.at(-1)! + 1 : number;
    for (let each = first; each <= number; each++) numbers.push(each);
  }
  return numbers;
}

/** What of a document can be cited: its headings, and the numbers of headings and list entries. */
function anchorsOf(path: string): { headings: Set<string>; numbers: Set<number> } {
  const headings = new Set<string>();
  const numbers = new Set<number>();
  let isCode = false;
  for (const line of read(path).split("\n")) {
    if (line.startsWith("```")) isCode = !isCode;
    if (isCode) continue;
    const heading = /^#+ (.*)$/.exec(line)?.[1];
    if (heading !== undefined) headings.add(heading.replaceAll("`", ""));
    const number = /^(?:(?:#+ |[-*] |\| *)\**(\d+)\b|(\d+)\. )/.exec(line)?.slice(1).find(Boolean);
    if (number !== undefined) numbers.add(Number(number));
  }
  return { headings, numbers };
}

const anchors = new Map(documents.map((path) => [path, anchorsOf(path)]));

/** What is wrong with a citation; undefined when it leads somewhere. */
function problemOf({ path, headings, numbers }: Citation): string | undefined {
  const found = anchors.get(path);
  if (found === undefined) return `${path} is not there`;
  const missing: (string | number)[] = [
    ...headings.filter((heading) => !found.headings.has(heading.replaceAll("`", ""))),
    ...numbers.filter((number) => !found.numbers.has(number)),
  ];
  return missing.length === 0 ? undefined : `${path} has no ${missing.join(", ")}`;
}

/** What of a comment names a part of something, without a name that says of what. */
function namelessIn(comment: string): string[] {
  const found: string[] = [];
  for (const match of comment.matchAll(/\b[Ss]ections? \d[\d.]*|§ ?\d+|(?<![\w/-])[\w-]+\.md\b/g)) {
    if (/^[A-Z]{4,}\.md$/.test(match[0])) continue; // a file of this repository
    const sentence = comment.slice(0, match.index).split(/(?<=[.;!?]) /);
    if (!anyPublished.test(sentence.at(-1)!)) found.push(match[0]);
  }
  return found;
}

/** The parts of `Spec: …`, which end with the paragraph. */
function specsIn(comment: string): string[] {
  const found = comment.matchAll(/\b[Ss]pec: (.*?)\.?(?=\s*(?:\n|@module|\*\/|$))/g);
  return [...found].flatMap((match) => match[1]!.split("; "));
}

const problemsOf = (check: (text: string, path: string) => readonly string[]) =>
  sources.flatMap((path) => check(read(path), path).map((problem) => `${path}: ${problem}`));

describe("the sources cite", () => {
  test("headings and numbers that the documents of this repository have", () => {
    const problems = problemsOf((text) =>
      citationsIn(unwrapped(text)).flatMap((citation) => problemOf(citation) ?? []),
    );
    expect(problems).toEqual([]);
  });

  test("by Spec: only documents of this repository and published sources", () => {
    const problems = problemsOf((text) =>
      commentsOf(text)
        .flatMap(specsIn)
        .filter((part) => !part.startsWith("docs/") && !startsPublished.test(part)),
    );
    expect(problems).toEqual([]);
  });

  test("sections and documents after the name of what has them", () => {
    expect(problemsOf((text) => proseOf(text).flatMap(namelessIn))).toEqual([]);
  });

  test("nothing that only some of us can look up", () => {
    const problems = problemsOf((text) =>
      proseOf(text).flatMap((prose) => nameless.flatMap((form) => form.exec(prose)?.[0] ?? [])),
    );
    expect(problems).toEqual([]);
  });
});

test("the documents cite headings that there are", () => {
  const problems = documents.flatMap((path) =>
    citationsIn(unwrapped(read(path))).flatMap((citation) => {
      const problem = problemOf(citation);
      return problem === undefined ? [] : [`${path}: ${problem}`];
    }),
  );
  expect(problems).toEqual([]);
});

test("the documents link to files and headings that there are", () => {
  const problems = documents.flatMap((path) =>
    [...read(path).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)]
      .filter(([, target, anchor]) => {
        const file = target === "" ? path : join(dirname(path), target!);
        if (!existsSync(join(root, file))) return true;
        const { headings } = anchors.get(file) ?? { headings: [] };
        return anchor !== undefined && ![...headings].some((text) => slugOf(text) === anchor);
      })
      .map(([link]) => `${path}: ${link}`),
  );
  expect(problems).toEqual([]);
});

/** What a heading is called in a link. */
function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}

test("the documents name files that there are", () => {
  const problems = documents
    .filter((path) => path.startsWith("docs/"))
    .flatMap((path) =>
      [...read(path).matchAll(/`((?:src|test|bench|keys|examples)\/[\w./-]+)`/g)]
        .map((match) => match[1]!)
        .filter((name) => !existsSync(join(root, name)))
        .map((name) => `${path}: ${name}`),
    );
  expect(problems).toEqual([]);
});

describe("what an error names can be looked up", () => {
  test("each rule of the checker, and no other, has its entry", () => {
    const text = read("docs/image-format.md").split("\n## Rules of the checker\n")[1]!;
    const entries = [...text.matchAll(/^- \*\*`([\w.-]+)`\*\*/gm)].map((match) => match[1]!);
    expect(entries.toSorted()).toEqual(Object.keys(imageRules).toSorted());
  });

  // The compiler lets the profiles refuse by these rules only.
  test.each(profileNames)("each rule that %s refuses by has its entry", (name) => {
    const section = read("docs/profiles.md").split(`\n## The profile ${name}\n`)[1]!;
    const text = section.split("\n## ")[0]!;
    const entries = [...text.matchAll(/(?:^### |\*\*)`([^`]+)`/gm)].map((match) => match[1]!);
    expect(entries.toSorted()).toEqual([...profileRules[name]].toSorted());
  });

  test("each profile has a heading", () => {
    const { headings } = anchors.get("docs/profiles.md")!;
    for (const name of profileNames) expect(headings).toContain(`The profile ${name}`);
  });

  test("each kind of problem that fsck finds has its entry", () => {
    const union = /type ProblemKind =([^;]*);/.exec(read("src/store/fsck/problem.ts"))![1]!;
    const kinds = [...union.matchAll(/\| "(\w+)"/g)].map((match) => match[1]!);
    const text = read("docs/store.md").split("\n## Check and repair\n")[1]!.split("\n## ")[0]!;
    const entries = [...text.matchAll(/^- \*\*`(\w+)`\*\*/gm)].map((match) => match[1]!);
    expect(entries.toSorted()).toEqual(kinds.toSorted());
  });
});

test("each hostile input has a number of its own, in order", () => {
  const text = readFileSync(join(root, "docs/hostile-inputs.md"), "utf8");
  const numbers = [...text.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
  expect(numbers).toEqual(numbers.map((_, i) => i + 1));
});
