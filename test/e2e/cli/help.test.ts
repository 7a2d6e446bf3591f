/** The help of every command, and what a mistake in a command line says. */
import type { Command } from "commander";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { commandGroups, commands } from "../../../src/cli/command-table.ts";
import { declareProgram } from "../../../src/cli/program.ts";
import { Output } from "../../../src/cli/terminal/output.ts";
import { runMain, stillClock } from "../../support/run.ts";

const silent = new Output({
  print() {},
  write() {},
  writeSome: () => 0,
  log() {},
  draw: undefined,
  clock: stillClock,
});

/** The declared command, and its subcommands with their names. */
async function declared(name: string): Promise<[path: string[], command: Command][]> {
  const program = await declareProgram([name], silent);
  const command = program.commands.find((each) => each.name() === name)!;
  return [
    [[name], command],
    ...command.commands.map((each): [string[], Command] => [[name, each.name()], each]),
  ];
}

let columns: string | undefined;
beforeEach(() => {
  columns = process.env["COLUMNS"];
  process.env["COLUMNS"] = "100";
});
afterEach(() => {
  if (columns === undefined) delete process.env["COLUMNS"];
  else process.env["COLUMNS"] = columns;
});

describe.each([...commands.keys()])("%s", (name) => {
  test("describes itself and each of its arguments and options", async () => {
    for (const [path, command] of await declared(name)) {
      const described = [command, ...command.registeredArguments, ...command.options];
      const texts = described.map((each) =>
        typeof each.description === "function" ? each.description() : each.description,
      );
      expect(texts, path.join(" ")).not.toContain("");
    }
  });

  test("prints help that fits, by --help and by the command help", async () => {
    for (const [path] of await declared(name)) {
      const help = await runMain("help", ...path);
      expect(help.status).toBe(0);
      expect(help.out).toMatch(new RegExp(`^Usage: sealfs ${path.join(" ")}( |\n)`));
      expect(help.out).not.toContain("default: []");
      expect(help.out.split("\n").filter((line) => line.length > 100)).toEqual([]);
      // mkcomposefs has its own, as mkcomposefs prints it.
      if (name !== "mkcomposefs") expect(await runMain(...path, "--help")).toEqual(help);
    }
  });

  test("says of every option that repeats that it does", async () => {
    for (const [, command] of await declared(name)) {
      for (const { parseArg, description, flags } of command.options) {
        const twice = tryTwice(parseArg);
        if (Array.isArray(twice)) expect(description, flags).toContain("repeated");
      }
    }
  });
});

/** What an option makes of a value that two others came before; undefined when it takes no such value. */
function tryTwice(parse: Command["options"][number]["parseArg"]): unknown {
  try {
    return parse?.("ssh", parse("ssh", undefined));
  } catch {
    return undefined;
  }
}

test("the list of commands fits, and has each of them in its group", async () => {
  const { out } = await runMain("--help");
  expect(out.split("\n").filter((line) => line.length > 100)).toEqual([]);
  const listed = out.split("\n\n").flatMap((paragraph) => {
    const [heading, ...lines] = paragraph.split("\n");
    if (!heading!.endsWith(":") || heading === "Options:") return [];
    return [[heading!.slice(0, -1), lines.flatMap((line) => /^ {2}(\S+)/.exec(line)?.[1] ?? [])]];
  });
  const expected = Object.entries(commandGroups).map(([title, group]) => [
    title,
    Object.keys(group),
  ]);
  expect(listed).toEqual(expected);
});

test("help is as wide as $COLUMNS says, notes included", async () => {
  process.env["COLUMNS"] = "60";
  const { out } = await runMain("sign", "--help");
  const shell = (line: string) => line.startsWith("  openssl") || line.startsWith("  sealfs");
  const wide = out.split("\n").filter((line) => line.length > 60 && !shell(line));
  expect(wide).toEqual([]);
});

test("an option that a command cannot do without is marked so", async () => {
  const { out } = await runMain("images", "--help");
  expect(out).toMatch(/^ {2}--store <dir> +the store \(required\)$/m);
  expect(out.match(/\(required\)/g)).toHaveLength(1);
});

test.each([
  ["an option that is missing", ["mount", "a", "b"], "'--store <dir>' not specified", "mount", 2],
  ["an unknown option", ["umount", "--lzay", "a"], "(Did you mean --lazy?)", "umount", 2],
  ["a missing argument", ["cat", "a"], "missing required argument 'path'", "cat", 2],
  ["an argument too many", ["umount", "a", "b"], "too many arguments", "umount", 2],
  ["a value that is no choice", ["build", "a", "--profile", "x"], "Allowed choices", "build", 2],
  ["a value that is no number", ["gc", "--keep", "x"], "--keep: expected a whole", "gc", 2],
  ["options that contradict", ["inspect", "a", "--missing"], "--missing: expected", "inspect", 2],
  ["a subcommand's argument", ["policy", "add-key", "a"], "'public-key'", "policy add-key", 2],
])("%s points to the help of its command", async (_, words, message, command, status) => {
  const { err, out, ...result } = await runMain(...words);
  expect(result.status).toBe(status);
  expect(out).toBe("");
  expect(err).toMatch(/^sealfs: /);
  expect(err).toContain(message);
  expect(err.split("\n").at(-1)).toBe(`(sealfs ${command} --help shows its options)`);
});

test.each([
  [["mont", "a", "b"], "mount", "sealfs"],
  [["mont", "--help"], "mount", "sealfs"],
  [["help", "mont"], "mount", "sealfs"],
  [["policy", "shwo", "file"], "show", "sealfs policy"],
  [["help", "policy", "shwo"], "show", "sealfs policy"],
])("a mistyped command suggests another: %s", async (words, suggestion, command) => {
  const { status, err, out } = await runMain(...words);
  expect({ status, out }).toEqual({ status: 2, out: "" });
  expect(err.split("\n")).toEqual([
    expect.stringMatching(/^sealfs: unknown command '/),
    `(Did you mean ${suggestion}?)`,
    `(${command} --help shows its commands)`,
  ]);
});

test("without a command the list is printed as a mistake, and help prints it as a result", async () => {
  const list = (await runMain("help")).out;
  expect(await runMain()).toMatchObject({ status: 2, out: "", err: list });
  expect(await runMain("--help")).toMatchObject({ status: 0, out: list, err: "" });
});

test.each([
  ["argument directory", ["umount", ""]],
  ["argument file", ["digest", "a", ""]],
  ["--upper", ["mount", "a", "b", "--store", "s", "--key", "k", "--upper", "", "--work", "w"]],
  ["--key", ["verify", "a", "--key", "k", "--key", ""]],
  ["--state", ["verify", "a", "--key", "k", "--state", ""]],
  ["--reason", ["policy", "revoke", "p", "k", "--reason", ""]],
])("an empty string is refused as a value: %s", async (what, words) => {
  const { status, err } = await runMain(...words);
  expect(err).toContain(`sealfs: ${what}: expected a value, got an empty string`);
  expect(err).toMatch(/\(sealfs \S+.* --help shows its options\)/);
  expect(status).toBe(2);
});
