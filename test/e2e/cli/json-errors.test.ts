/** What a program reads of a command that failed: one JSON document, of each class of errors. */
import { createServer } from "node:http";
import { readFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { errorClasses } from "../../../src/error-transfer.ts";
import { SealfsError } from "../../../src/errors.ts";
import { errorDocument } from "../../../src/cli/error-document.ts";
import { exitStatus } from "../../../src/cli/exit-status.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { runMain, runMainOk, sealfs } from "../../support/run.ts";
import { scratchFolder } from "../../support/scratch.ts";
import { alice, mallory } from "../../support/trust.ts";

const name = "registry.example/app:1";
let folder: string;
const at = (file: string) => join(folder, file);

beforeAll(async () => {
  folder = scratchFolder();
  writeFileSync(at("alice.key"), alice.toPem(), { mode: 0o600 });
  writeFileSync(at("alice.pub"), alice.publicKey.toPem());
  writeFileSync(at("mallory.pub"), mallory.publicKey.toPem());
  mkdirSync(at("tree"));
  writeFileSync(at("tree/file"), "content ".repeat(1000));
  const built = ["build", `dir:${at("tree")}`, "--store", at("store"), "--name", name];
  await runMainOk(...built, "--key", at("alice.key"), "--durability", "none");
  writeFileSync(at("app.img"), goldenImage("ext-basic.v1").bytes);
  writeFileSync(at("broken.img"), "no image at all");
});

/** Runs a command that has to fail, and gives the member `error` of the only thing on stdout. */
async function failing(...words: string[]) {
  const { status, out, err } = await runMain(...words, "--json");
  const { error, ...result } = JSON.parse(out);
  expect(error.exitStatus).toBe(status);
  expect(status).toBeGreaterThan(0);
  // A log tells people the same.
  expect(err).toContain(error.message.split(" (Did")[0]);
  return { error, result };
}

const store = () => ["--store", at("store")];
const trusting = (who: string) => ["--key", at(`${who}.pub`), "--state", "none"];

describe("an error of each class", () => {
  test.each([
    ["gc", () => ["gc", ...store(), "--keep", "x"], "USAGE", "UsageError", 2],
    ["ls", () => ["ls", at("broken.img")], "TRUNCATED", "FormatError", 3],
    ["verify", () => ["verify", name, ...store(), ...trusting("mallory")], "UNTRUSTED_KEY", "TrustError", 5],
    ["fetch", () => ["fetch", name, ...store(), ...trusting("mallory")], "UNTRUSTED_KEY", "TrustError", 5],
    ["verify of a file", () => ["verify", at("app.img"), ...trusting("alice")], "NO_BUNDLE", "TrustError", 5],
    ["pull", () => ["pull", "docker://127.0.0.1:1/app:1", ...store(), ...trusting("alice")], "UNREACHABLE", "NetworkError", 6],
    ["verify of a name", () => ["verify", "nobody:1", ...store(), ...trusting("alice")], "NO_REF", "NotFoundError", 7],
    ["images", () => ["images", "--store", at("none")], "NO_STORE", "NotFoundError", 7],
    ["du", () => ["du", "--store", at("none")], "NO_STORE", "NotFoundError", 7],
    ["push", () => ["push", "nobody:1", "docker://127.0.0.1:1/app:1", ...store()], "NO_REF", "NotFoundError", 7],
    ["build", () => ["build", "oci:/nowhere/at/all", ...store()], "NO_FILE", "NotFoundError", 7],
    ["import", () => ["import", at("nothing"), "--store", at("new"), "--unverified"], "NO_FILE", "NotFoundError", 7],
    ["inspect", () => ["inspect", "nobody:1", ...store()], "NO_REF", "NotFoundError", 7],
    ["digest", () => ["digest", at("tree")], "USAGE", "UsageError", 2],
    ["status", () => ["status", "nobody:1"], "NO_FILE", "NotFoundError", 7],
    ["policy show", () => ["policy", "show", at("none")], "NO_FILE", "NotFoundError", 7],
  ])("of %s", async (_, words, code, className, status) => {
    const { error, result } = await failing(...words());
    expect(error).toMatchObject({ code, class: className, exitStatus: status });
    expect(error.message).not.toContain("\n");
    expect(result).toEqual({});
  }); // prettier-ignore

  test("of the machine: what the system said is in the message", async () => {
    writeFileSync(at("unlockable"), "");
    const { error } = await failing("gc", "--store", join(at("unlockable"), "below"));
    expect(error.message).toContain("unlockable");
  });

  test("carries its status, as the exit statuses have it", () => {
    for (const [name_, Class] of Object.entries(errorClasses)) {
      const make = Class as new (code: string, message: string) => SealfsError;
      for (const code of Class.codes) {
        const thrown = new make(code, "word");
        const { error } = errorDocument(thrown);
        expect(error).toMatchObject({ code, class: name_, exitStatus: exitStatus(thrown) });
      }
    }
  });
});

describe("a mistake in the command line", () => {
  test.each([
    ["an unknown option", ["du", "--store", "s", "--jsn"], /^unknown option '--jsn' \(Did you mean --json\?\)$/],
    ["a missing option", ["fsck"], /'--store <dir>' not specified/],
    ["a missing argument", ["verify"], /missing required argument 'image'/],
    ["an argument too many", ["du", "--store", "s", "more"], /too many arguments/],
    ["a command that is none", ["buidl"], /unknown command 'buidl'/],
    ["a value that is no choice", ["build", "a", "--store", "s", "--profile", "x"], /Allowed choices/],
    ["an empty value", ["images", "--store", ""], /^--store: expected a value/],
    ["two that contradict", ["images", "--store", "s", "-q", "-v"], /expected only one/],
  ])("%s", async (_, words, message) => {
    const { error } = await failing(...words);
    expect(error).toMatchObject({ code: "USAGE", class: "UsageError", exitStatus: 2 });
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(/^sealfs.* --help shows its (options|commands)$/);
  }); // prettier-ignore

  test("behind -- it is an argument, and nobody asked for JSON", async () => {
    const { status, out } = await runMain("verify", "--", "--json");
    expect({ status, out }).toEqual({ status: 2, out: "" });
  });

  test("help is no mistake", async () => {
    const { status, out } = await runMain("gc", "--json", "--help");
    expect(status).toBe(0);
    expect(out).toMatch(/^Usage: /);
  });
});

describe("a result that comes before the error", () => {
  test("is in the same document: fsck says what is wrong", async () => {
    const built = ["build", `dir:${at("tree")}`, "--store", at("hurt")];
    await runMainOk(...built, "--durability", "none");
    const list = await runMainOk("inspect", "--objects", "--json", "--store", at("hurt"), imageOf("hurt"));
    const [{ digest }] = JSON.parse(list.out);
    rmSync(at(`hurt/objects/${digest.slice(0, 2)}/${digest.slice(2)}`));
    const { error, result } = await failing("fsck", "--store", at("hurt"), "--threads", "0");
    expect(error).toMatchObject({ code: "DAMAGED_STORE", class: "IntegrityError", exitStatus: 4 });
    expect(result).toMatchObject({ good: false, problems: [{ kind: "missing" }] });
    const checked = await failing("check", imageOf("hurt"), "--store", at("hurt"));
    expect(checked.error.code).toBe("DIGEST_MISMATCH");
    expect(checked.result).toMatchObject({ ok: false });
    const fetched = await failing("fetch", name, "--store", at("store"), ...trusting("mallory"));
    expect(fetched.result).toEqual({});
  }); // prettier-ignore

  test("check says which rule is broken", async () => {
    const { error, result } = await failing("check", at("broken.img"));
    expect(error).toMatchObject({ code: "TRUNCATED", class: "FormatError", exitStatus: 3 });
    expect(result).toMatchObject({ ok: false, image: { rule: "header.magic", offset: 0 } });
  });

  test("trust says what it knows", async () => {
    const { error, result } = await failing("trust", name, ...store(), ...trusting("mallory"));
    expect(error.code).toBe("NO_GOOD_BUNDLE");
    expect(result).toMatchObject({ ok: false });
  });
});

const imageOf = (name_: string) =>
  JSON.parse(sealfs(["images", "--store", at(name_), "--json"]).stdout)[0].id;

test("a server's status comes with the error", async () => {
  const server = createServer((_, response) => response.writeHead(403).end("no"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as { port: number };
    const words = ["pull", `docker://127.0.0.1:${port}/app:1`, "--tls-verify", "false"];
    const { error } = await failing(...words, ...store(), ...trusting("alice"));
    expect(error).toMatchObject({ class: "NetworkError", httpStatus: 403, exitStatus: 6 });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("a defect of sealfs is told without a stack trace", () => {
  const preload = fileURLToPath(new URL("../../support/defect.cjs", import.meta.url));
  writeFileSync(at("defect"), "");
  const env = { NODE_OPTIONS: `--require ${preload}` };
  const { status, stdout, stderr } = sealfs(["digest", at("defect"), "--json"], { env });
  expect(status).toBe(1);
  const { error } = JSON.parse(stdout);
  expect(error).toMatchObject({
    code: "INTERNAL",
    class: "InternalError",
    message: "TypeError: provoked",
    exitStatus: 1,
  });
  expect(error.hint).toContain("without --json");
  expect(stdout + stderr).not.toMatch(/^\s+at /m);
});

test("the documentation lists the members, and every class with its codes", () => {
  const text = readFileSync(new URL("../../../docs/command-line.md", import.meta.url), "utf8");
  for (const [class_, { codes }] of Object.entries(errorClasses)) {
    const row = text.split("\n").find((line) => line.startsWith(`| \`${class_}\``));
    expect(
      row?.match(/`[A-Z_]+`/g)?.map((code) => code.slice(1, -1)),
      class_,
    ).toEqual([...codes]);
  }
  for (const member of ["code", "class", "message", "hint", "exitStatus", "httpStatus", "failures"])
    expect(text).toMatch(new RegExp(`^\\| \`${member}\` `, "m"));
});
