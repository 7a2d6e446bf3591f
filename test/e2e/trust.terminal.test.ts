/** Trust at the real command: passphrases from a terminal or a descriptor, and the machine's clock. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { encryptKey } from "../../src/keys/encrypted-key.ts";
import { bin, sealfs, sealfsOk } from "../support/run.ts";
import { goldenImage } from "../support/golden-images.ts";
import { oracle } from "../support/oracle.ts";
import { alice } from "../support/trust.ts";
import { until } from "../support/until.ts";
import { scratchFolder } from "../support/scratch.ts";

const name = "registry.example/app:1";
const passphrase = "open sesame";
let folder: string;
const at = (file: string) => join(folder, file);

beforeAll(() => {
  folder = scratchFolder();
  writeFileSync(at("app.img"), goldenImage("ext-basic.v1").bytes);
  writeFileSync(at("alice.pub"), alice.publicKey.toPem());
  writeFileSync(at("alice.key"), alice.toPem(), { mode: 0o600 });
  writeFileSync(at("locked.key"), encryptKey(alice, passphrase), { mode: 0o600 });
});

const verify = (...more: string[]) =>
  sealfs([
    "verify",
    at("app.img"),
    "--key",
    at("alice.pub"),
    "--name",
    name,
    "--state",
    "none",
    ...more,
  ]);

describe("the passphrase of a key", () => {
  const signing = (...more: string[]) => [
    "sign",
    at("app.img"),
    "--name",
    name,
    "--key",
    at("locked.key"),
    ...more,
  ];

  describe.skipIf(oracle("script") === undefined)("(skipped without script)", () => {
    /** Runs the command on a terminal, after and before what `shell` does; `answers` to its questions. */
    async function onTerminal(
      answers: readonly string[],
      act?: (pid: number) => void,
      shell = (command: string) => `exec ${command}`,
    ): Promise<{ status: number; shown: string }> {
      const command = [process.execPath, bin, ...signing()].map((word) => `'${word}'`).join(" ");
      const words = `echo "pid $$"; ${shell(command)}`;
      const script = spawn("script", ["-qefc", words, at("typescript")]);
      const ended = once(script, "exit");
      let heard = "";
      script.stdout.on("data", (chunk: Buffer) => (heard += chunk.toString()));
      const asked = () => heard.split("passphrase of").length - 1;
      for (const [i, answer] of answers.entries()) {
        // Typed once the question is there, as a person does.
        await until(() => asked() > i || script.exitCode !== null);
        script.stdin.write(answer);
      }
      if (act !== undefined) {
        await until(() => asked() > answers.length || script.exitCode !== null);
        act(Number(/pid (\d+)/.exec(heard)![1]));
      }
      const [status] = (await ended) as [number];
      return { status, shown: readFileSync(at("typescript"), "utf8") };
    }

    test("is asked for, and not shown", async () => {
      const { status, shown } = await onTerminal([`${passphrase}\n`]);
      expect(status).toBe(0);
      expect(shown).toContain(`passphrase of ${at("locked.key")}: `);
      expect(shown).toContain(`signed ${name}`);
      expect(shown).not.toContain(passphrase);
      expect(verify().status).toBe(0);
    });

    test("is asked for again when it was wrong, three times in all", async () => {
      rmSync(at("app.img.bundle.json"), { force: true });
      const bad = await onTerminal(["guess\n", "\n", "guess again\n"]);
      expect(bad.status).toBe(5);
      expect(bad.shown.match(/passphrase of/g)).toHaveLength(3);
      expect(bad.shown.match(/wrong passphrase, try again; passphrase of/g)).toHaveLength(2);
      expect(bad.shown).toContain("cannot be decrypted");
      expect(verify().status).toBe(5);
      const good = await onTerminal(["guess\n", `${passphrase}\n`]);
      expect(good.status).toBe(0);
      expect(verify().status).toBe(0);
    });

    test.each([
      ["Ctrl-C", ["\x03"], undefined, "SIGINT", 130],
      ["SIGTERM", [], "SIGTERM", "SIGTERM", 143],
      ["SIGINT", [], "SIGINT", "SIGINT", 130],
      ["Ctrl-C at the second question", ["guess\n", "\x03"], undefined, "SIGINT", 130],
    ] as const)(
      "is not waited for after %s: the terminal is as it was, and nothing is signed",
      async (_, answers, kill, signal, status) => {
        rmSync(at("app.img.bundle.json"), { force: true });
        const act = kill && ((pid: number) => void process.kill(pid, kill));
        const ended = await onTerminal(answers, act);
        expect(ended.status).toBe(status);
        expect(ended.shown).toContain(`sealfs: passphrase: ended by ${signal}\r\n`);
        expect(ended.shown).not.toMatch(/^ +at /m);
        expect(verify().status).toBe(5);
        // The shell goes on after the command, and sees how it has left the terminal.
        const shell = (command: string) =>
          `trap : INT; ${command}; echo "status $?"; stty -a | tr ' ' '\\n' | grep -w -e echo`;
        const after = await onTerminal(["\x03"], undefined, shell);
        expect(after.shown).toMatch(/status 130\r\necho;?\r\n/);
      },
    );
  });

  test("comes from a descriptor, of a pipe or a file", () => {
    const words = signing("--passphrase-file", "/dev/fd/3").map((word) => `'${word}'`);
    const command = [`'${process.execPath}'`, `'${bin}'`, ...words].join(" ");
    const from = (redirection: string) =>
      spawnSync("/bin/bash", ["-c", `${command} ${redirection}`]);
    writeFileSync(at("passphrase"), `${passphrase}\n`, { mode: 0o600 });
    expect(from(`3< <(echo '${passphrase}')`).status).toBe(0);
    expect(from(`3< ${at("passphrase")}`).status).toBe(0);
    expect(verify().status).toBe(0);
    expect(from("3< <(echo guess)").status).toBe(5);
  });

  test("comes from fd:N, also of a pipe that stays open, which has to be open", () => {
    const words = signing("--passphrase-file", "fd:9").map((word) => `'${word}'`);
    const command = [`'${process.execPath}'`, `'${bin}'`, ...words].join(" ");
    const from = (before: string, redirection: string) =>
      spawnSync("/bin/bash", ["-c", `${before} ${command} ${redirection}`], { encoding: "utf8" });
    rmSync(at("app.img.bundle.json"), { force: true });
    spawnSync("mkfifo", [at("fifo")]);
    const open = `exec 9<>'${at("fifo")}'; echo '${passphrase}' >&9;`;
    expect(from(open, "").status).toBe(0);
    expect(verify().status).toBe(0);
    expect(from("", "9< <(printf guess)").status).toBe(5);
    expect(from("", "9</dev/null")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("fd:9 has an empty first line"),
    });
    const closed = from("", "9<&-");
    expect(closed.status).toBe(2);
    expect(closed.stderr).toContain("descriptor 9 is not open");
    expect(closed.stderr).toContain("9< FILE");
  }); // prettier-ignore

  test.each([3, 4, 5, 6, 7, 8, 10, 12, 15, 17, 19, 21])(
    "does not come from descriptor %d, which is Node's own where nobody has opened it",
    (fd) => {
      const { status, stderr } = sealfs(signing("--passphrase-file", `fd:${fd}`), {
        timeoutMs: 60_000,
      });
      expect(status).toBe(2);
      expect(stderr).toMatch(/descriptor \d+ is not open|has an empty first line/);
    },
  );

  test("comes from env:NAME, which nobody inherits", () => {
    rmSync(at("app.img.bundle.json"), { force: true });
    const from = (value: string | undefined) =>
      sealfs(signing("--passphrase-file", "env:SEALFS_TEST_PASS"), {
        env: { SEALFS_TEST_PASS: value },
      });
    for (const text of [passphrase, `${passphrase}\n`, `${passphrase}\r\nmore`]) {
      expect(from(text).status).toBe(0);
      expect(verify().status).toBe(0);
      rmSync(at("app.img.bundle.json"));
    }
    expect(from("guess")).toMatchObject({ status: 5, stdout: "" });
    const unset = from(undefined);
    expect(unset.status).toBe(2);
    expect(unset.stderr).toContain("the environment variable SEALFS_TEST_PASS is not set");
    expect(unset.stderr).toContain("export SEALFS_TEST_PASS");
    for (const text of ["", "\n"]) {
      expect(from(text)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining("env:SEALFS_TEST_PASS has an empty first line"),
      });
    }
    for (const text of ["env:", "env:a=b", "fd:", "fd:x", "fd:-1"]) {
      const { status, stderr } = sealfs(signing("--passphrase-file", text));
      expect(status, text).toBe(2);
      expect(stderr).toContain(`./${text}`);
    }
    // A key that is not encrypted needs none.
    const plain = ["sign", at("app.img"), "--name", name, "--key", at("alice.key")];
    expect(sealfs([...plain, "--passphrase-file", "env:SEALFS_TEST_PASS"]).status).toBe(0);
    const asked = ["--with-key", at("alice.pub"), "--passphrase-file", "env:SEALFS_TEST_PASS"];
    const command = `cat >/dev/null; env >'${at("env")}'; exit 3`;
    const other = ["sign", at("app.img"), "--name", name, "--sign-cmd", command, ...asked];
    const env = { SEALFS_TEST_PASS: passphrase, SEALFS_TEST_OTHER: "there" };
    expect(sealfs(other, { env }).status).toBe(1);
    expect(readFileSync(at("env"), "utf8")).toContain("SEALFS_TEST_OTHER=there");
    expect(readFileSync(at("env"), "utf8")).not.toContain("SEALFS_TEST_PASS");
  });

  test("cannot be asked for without a terminal, which is told and nothing is signed", () => {
    rmSync(at("app.img.bundle.json"), { force: true });
    // A session of its own has no terminal.
    const { status, stderr } = spawnSync("setsid", ["-w", process.execPath, bin, ...signing()], {
      encoding: "utf8",
      input: `${passphrase}\n`,
    });
    expect(status).toBe(2);
    expect(stderr).toContain("--passphrase-file");
    expect(verify().status).toBe(5);
  });
});

describe.skipIf(oracle("faketime") === undefined)("the clock (skipped without faketime)", () => {
  /** The time stands still, however long it takes. */
  const verifyAt = (time: string, zone = "UTC") => {
    const args = ["verify", at("app.img"), "--key", at("alice.pub"), "--name", name];
    const command = [time, process.execPath, bin, ...args, "--state", "none"];
    const env = { ...process.env, TZ: zone, FAKETIME_DONT_FAKE_MONOTONIC: "1" };
    const result = spawnSync("faketime", ["-f", ...command], { encoding: "utf8", env });
    return { status: result.status, text: result.stderr };
  };
  beforeAll(() => {
    const times = ["--created", "2026-09-01T00:00:00Z", "--expires", "2027-09-01T00:00:00Z"];
    sealfsOk(["sign", at("app.img"), "--name", name, "--key", at("alice.key"), ...times]);
  });

  test("decides from creation until expiry, to the second", () => {
    expect(verifyAt("2026-08-31 23:55:00")).toMatchObject({ status: 0 });
    expect(verifyAt("2027-08-31 23:59:59")).toMatchObject({ status: 0 });
    const early = verifyAt("2026-08-31 23:54:59");
    expect(early).toMatchObject({ status: 5 });
    expect(early.text).toContain("which is after now");
    const late = verifyAt("2027-09-01 00:00:00");
    expect(late).toMatchObject({ status: 5 });
    expect(late.text).toContain("expired 2027-09-01T00:00:00Z");
    expect(verifyAt("2090-01-01 00:00:00").status).toBe(5);
    expect(verifyAt("1970-01-02 00:00:00").status).toBe(5);
  });

  test("is read in UTC, whatever the time zone", () => {
    // 23:30 in Honolulu on the last day is the next day in UTC, and past.
    expect(verifyAt("2027-08-31 23:30:00", "Pacific/Honolulu").status).toBe(5);
    expect(verifyAt("2027-09-01 08:30:00", "Asia/Tokyo").status).toBe(0);
  });
});

test("build writes the bundle beside the image that it writes", () => {
  writeFileSync(at("dump"), "/ 4096 40755 2 0 0 0 1.0 - - -\n");
  const built = ["build", `dump:${at("dump")}`, "--store", at("store"), "--durability", "none"];
  const signed = ["--name", name, "--key", at("alice.key")];
  sealfsOk([...built, ...signed, "-o", at("built.img")]);
  const args = ["--key", at("alice.pub"), "--name", name, "--state", "none"];
  expect(sealfs(["verify", at("built.img"), ...args]).status).toBe(0);
  sealfsOk([...built, "-o", at("plain.img")]);
  expect(sealfs(["verify", at("plain.img"), ...args]).stderr).toContain("no bundle");
});

describe("what strangers have written", () => {
  test("does not get to move a terminal's cursor, or to write lines of its own", () => {
    sealfsOk(["sign", at("app.img"), "--name", name, "--key", at("alice.key")]);
    const { dsseEnvelope } = JSON.parse(readFileSync(at("app.img.bundle.json"), "utf8"));
    const [signature] = dsseEnvelope.signatures;
    const sig = Buffer.alloc(64, 1).toString("base64");
    const keyid = "x\nverified    other:1\u001b[2K\u009b2K\u202e";
    const both = { ...dsseEnvelope, signatures: [signature, { keyid, sig }] };
    writeFileSync(at("both"), JSON.stringify(both));
    const good = verify("--bundle", at("both"));
    expect(good.status).toBe(0);
    expect(good.stderr).toContain("another signature was not checked: x?verified?other:1?[2K?2K?");
    const alone = { ...dsseEnvelope, signatures: [{ keyid, sig }] };
    writeFileSync(at("alone"), JSON.stringify(alone));
    const bad = verify("--bundle", at("alone"));
    expect(bad.status).toBe(5);
    for (const text of [bad.stderr, good.stderr]) {
      for (const char of "\u001b\u009b\u202e") expect(text).not.toContain(char);
      expect(text).not.toMatch(/^verified/m);
    }
  });

  test("is not waited for: what lies beside an image is a file, or nothing", () => {
    writeFileSync(at("image"), goldenImage("ext-basic.v1").bytes);
    const args = ["verify", at("image"), "--key", at("alice.pub"), "--name", name];
    for (const make of [["mkfifo"], ["ln", "-s", "/dev/zero"], ["mkdir"]]) {
      for (const ending of ["bundle.json", "dsse.json"]) {
        spawnSync(make[0]!, [...make.slice(1), at(`image.${ending}`)]);
        const { status, stderr } = sealfs([...args, "--state", "none"], { timeoutMs: 120_000 });
        expect(status, make.join(" ")).toBe(5);
        expect(stderr).toContain("no bundle");
        rmSync(at(`image.${ending}`), { recursive: true });
      }
    }
    const { status, stderr } = verify("--bundle", "/dev/zero");
    expect(status).toBe(3);
    expect(stderr).toContain("at most");
  });
});
