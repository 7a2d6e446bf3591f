/** Signing with several keys, and with keys that are elsewhere. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { readPrivateKey, readPublicKey } from "../../../src/keys/key-files.ts";
import { signImage } from "../../../src/sign/sign-image.ts";
import { agentSigner, parseSignature } from "../../../src/keys/signer.ts";
import { Store } from "../../../src/store/store.ts";
import { Transaction } from "../../../src/store/transaction.ts";
import { parseBundle } from "../../../src/trust/bundle.ts";
import { parsePreAuthEncoding, preAuthEncoding } from "../../../src/trust/dsse.ts";
import { parseStatement } from "../../../src/trust/statement.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { oracle } from "../../support/oracle.ts";
import { runMain } from "../../support/run.ts";
import { alice, refusal, utf8 } from "../../support/trust.ts";
import { until } from "../../support/until.ts";
import { scratchFolder } from "../../support/scratch.ts";

const image = goldenImage("ext-basic.v1").bytes;
const id = verityDigestOf(image);
const name = "registry.example/app:1";
let folder: string;
const at = (file: string) => join(folder, file);
const id_ = (who: string) => readPublicKey(at(`${who}.pub`)).id;

beforeEach(async () => {
  folder = scratchFolder();
  for (const who of ["alice", "bob", "carol"]) await runMain("keygen", "-o", at(who));
  writeFileSync(at("app.img"), image);
  const keys = ["alice", "bob", "carol"].flatMap((who) => ["--key", at(`${who}.pub`)]);
  await runMain("policy", "init", at("policy"), "--name", "fleet", "--threshold", "2", ...keys);
});

const sign = (...more: string[]) => runMain("sign", at("app.img"), ...more);
const key = (who: string) => ["--key", at(`${who}.key`)];
const verify = (...more: string[]) =>
  runMain("verify", at("app.img"), "--policy", at("policy"), "--name", name, ...more);

const verifyByAlice = () =>
  runMain("verify", at("app.img"), "--key", at("alice.pub"), "--name", name);

describe("sign --add", () => {
  test("beside a file: the signatures stand in one envelope, and count together", async () => {
    await sign("--name", name, ...key("alice"));
    expect((await verify()).status).toBe(5);
    const added = await sign("--add", ...key("bob"));
    expect(added.status).toBe(0);
    expect(added.err).toContain("app.img.dsse.json");
    // Who signs what others have written sees what it says.
    expect(added.err).toMatch(/the statement says: version \d+, from 2\S+Z to 2\S+Z/);
    const verified = await verify();
    expect(verified.status).toBe(0);
    expect(verified.out).toContain(id_("alice"));
    expect(verified.out).toContain(id_("bob"));
    await sign("--add", ...key("carol"));
    await sign("--add", ...key("carol"));
    const { signatures } = JSON.parse(readFileSync(at("app.img.dsse.json"), "utf8"));
    expect(signatures).toHaveLength(3);
    rmSync(at("app.img.bundle.json"));
    expect((await verify()).status).toBe(0);
  });

  test("in a store: each signer has a bundle, over the same bytes", async () => {
    const store = at("store");
    const transaction = Transaction.begin(Store.create(store), { durability: "none" });
    transaction.put(id, image);
    transaction.publish({ image: id, name });
    transaction.close();
    await runMain("sign", name, "--store", store, ...key("alice"), "--version", "3");
    const check = () => runMain("verify", name, "--store", store, "--policy", at("policy"));
    // A second statement is another one, though it says nearly the same.
    await runMain("sign", name, "--store", store, ...key("carol"), "--version", "2");
    expect((await check()).err).toContain("needs 2 keys, signed by 1");
    await runMain("sign", name, "--store", store, "--add", ...key("bob"));
    const verified = await check();
    expect(verified.status).toBe(0);
    expect(verified.out).toContain("version     3");
    expect(Store.open(store).readBundles(id)).toHaveLength(3);
  });

  test("needs a statement about this image and name that has not expired", async () => {
    expect((await sign("--add", ...key("bob"))).err).toContain(
      "no statement to add a signature to",
    );
    await sign(
      "--name",
      name,
      ...key("alice"),
      "--created",
      "2020-01-01",
      "--expires",
      "2020-02-01",
    );
    expect((await sign("--add", ...key("bob"))).err).toContain("expired");
    await sign("--name", name, ...key("alice"));
    expect((await sign("--add", "--name", "other", ...key("bob"))).status).toBe(5);
    writeFileSync(at("app.img"), goldenImage("ext-1-byte.v1").bytes);
    expect((await sign("--add", ...key("bob"))).err).toContain("about another image");
  });

  test("takes no times and no version of its own", async () => {
    expect((await sign("--add", ...key("bob"), "--expires", "1d")).status).toBe(2);
  });
});

/** A store that has the image under its name, unsigned. */
function storeWithImage(): string {
  const transaction = Transaction.begin(Store.create(at("store")), { durability: "none" });
  transaction.put(id, image);
  transaction.publish({ image: id, name });
  transaction.close();
  return at("store");
}

describe("two keys", () => {
  const both = ["--key", "alice", "--key", "bob"];
  const keys = () => both.map((word) => (word === "--key" ? word : at(`${word}.key`)));

  test("sign one statement beside a file, in one envelope", async () => {
    const signed = await sign("--name", name, ...keys());
    expect(signed.status).toBe(0);
    expect(signed.err).toMatch(/with 2 keys until .*app\.img\.dsse\.json$/);
    expect((await verify()).status).toBe(0);
  });

  test("sign one statement in a store, a bundle each", async () => {
    const store = storeWithImage();
    expect((await runMain("sign", name, "--store", store, ...keys())).status).toBe(0);
    expect(Store.open(store).readBundles(id)).toHaveLength(2);
    const verified = await runMain("verify", name, "--store", store, "--policy", at("policy"));
    expect(verified.status).toBe(0);
  });

  test("sign what is built, in the store and beside the file that is written too", async () => {
    mkdirSync(at("tree"));
    const made = ["--store", at("built"), "--name", name, "-o", at("app.img")];
    const built = await runMain("build", `dir:${at("tree")}`, ...made, ...keys());
    expect(built.status).toBe(0);
    expect((await verify()).status).toBe(0);
    const stored = ["--store", at("built"), "--policy", at("policy")];
    expect((await runMain("verify", name, ...stored)).status).toBe(0);
  });

  test("are two, and any of them is trusted alone", async () => {
    const twice = await sign("--name", name, ...key("alice"), ...key("alice"));
    expect(twice.status).toBe(2);
    expect(twice.err).toContain("given twice");
    await sign("--name", name, ...key("bob"));
    const any = ["--key", at("alice.pub"), "--key", at("bob.pub"), "--state", "none"];
    expect((await runMain("verify", at("app.img"), "--name", name, ...any)).status).toBe(0);
    const sidecar = await sign("--name", name, ...keys(), "--sidecar", "ssh");
    expect(sidecar.status).toBe(2);
  });
});

test("what can be said once is not said twice", async () => {
  const twice = async (option: string, ...values: string[]) => {
    const { status, err } = await sign(...values.flatMap((value) => [option, value]));
    expect({ option, status }).toEqual({ option, status: 2 });
    expect(err).toContain(`${option}: given twice`);
  };
  await twice("--name", name, "other");
  await twice("--with-key", at("alice.pub"), at("bob.pub"));
  await twice("--expires", "1d", "2d");
  const policies = ["--policy", at("policy"), "--policy", at("policy")];
  expect((await runMain("verify", at("app.img"), ...policies)).status).toBe(2);
});

describe("a name in the store", () => {
  test("is made by signing, and led to the image that is signed", async () => {
    const store = storeWithImage();
    const other = goldenImage("ext-1-byte.v1").bytes;
    const otherId = verityDigestOf(other);
    const transaction = Transaction.begin(Store.open(store), { durability: "none" });
    transaction.put(otherId, other);
    transaction.publish({ image: otherId, name: "prod" });
    transaction.close();
    const signed = await runMain("sign", id, "--store", store, "--name", "prod", ...key("alice"));
    expect(signed.err).toContain(`prod was image ${otherId} in the store`);
    expect(Store.open(store).images.lookup("prod")).toBe(id);
    await runMain("sign", id, "--store", store, "--name", "new", ...key("alice"));
    const check = await runMain("verify", "new", "--store", store, "--key", at("alice.pub"));
    expect(check.status).toBe(0);
  });
});

describe("what clients refuse", () => {
  test("is not signed: a version that the name has had for another image", async () => {
    mkdirSync(at("tree"));
    const build = (...more: string[]) =>
      runMain("build", `dir:${at("tree")}`, "--store", at("s"), "--name", name, ...more);
    const fixed = [...key("alice"), "--created", "2026-01-02"];
    expect((await build(...fixed)).status).toBe(0);
    expect((await build(...fixed)).status).toBe(0);
    writeFileSync(at("tree/new"), "");
    const second = await build(...fixed);
    expect(second.status).toBe(5);
    expect(second.err).toMatch(/\(from --created\) is signed already, of another image/);
    const version = /--version \d+/.exec(second.err)![0].split(" ");
    expect((await build(...fixed, ...version)).status).toBe(0);
    expect((await build(...key("alice"), "--created", "2026-01-01")).err).toContain("is below");
    // The same second, and no fixed time: the version rises by itself.
    writeFileSync(at("tree/newer"), "");
    expect((await build(...key("alice"))).status).toBe(0);
    const verified = await runMain("verify", name, "--store", at("s"), "--key", at("alice.pub"));
    expect(verified.status).toBe(0);
  });

  test("is not signed: too long a validity, or what their policy refuses", async () => {
    const long = await sign("--name", name, ...key("alice"), "--expires", "11y");
    expect(long.status).toBe(5);
    expect(long.err).toMatch(/clients would refuse this: .*at most 3660d, .*\n.*--expires/);
    expect(existsSync(at("app.img.bundle.json"))).toBe(false);
    await runMain("policy", "set", at("policy"), "--max-validity", "90d");
    const policy = ["--name", name, "--policy", at("policy"), ...key("alice")];
    expect((await sign(...policy)).err).toContain("at most 90d");
    const good = await sign(...policy, "--expires", "90d");
    expect(good.status).toBe(0);
    expect(good.err).toContain(`warning: clients refuse this now: "${name}" needs 2 keys`);
    const two = await sign(...policy, ...key("bob"), "--expires", "90d");
    expect(two.err).not.toContain("warning");
    await runMain("keygen", "-o", at("dave"));
    await runMain("policy", "add-key", at("policy"), at("dave.pub"), "--names", "other");
    const dave = ["--name", name, "--policy", at("policy"), ...key("dave"), "--expires", "90d"];
    expect((await sign(...dave)).err).toMatch(/does not let .* sign "registry/);
    await runMain("keygen", "-o", at("eve"));
    const stranger = ["--name", name, "--policy", at("policy"), ...key("eve"), "--expires", "90d"];
    expect((await sign(...stranger)).err).toMatch(/not trusted\n.*policy add-key/);
  });

  test("yet is signed with a warning, and not too long a validity with it", async () => {
    const later = ["--name", name, ...key("alice"), "--created", "2099-01-01"];
    const early = await sign(...later);
    expect(early.status).toBe(0);
    expect(early.err).toMatch(/warning: clients refuse this now: .*created 2099-01-01/);
    expect((await sign(...later, "--expires", "11y")).status).toBe(5);
    const pae = ["--print-pae", "--with-key", at("alice.pub"), "--expires", "11y"];
    expect((await sign("--name", name, ...pae)).status).toBe(5);
  });
});

describe("signing again", () => {
  const source = {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${"c".repeat(64)}`,
  };
  const built = (who: string, version = 1) => {
    const times = {
      created: new Date("2026-09-01T00:00:00Z"),
      expires: new Date("2027-09-01T00:00:00Z"),
    };
    const request = { name, key: readPrivateKey(at(`${who}.key`)), version, ...times };
    const how = { profile: "oci-v1", source };
    return { keyId: id_(who), name, bytes: signImage(image, { ...request, ...how }).bundle };
  };
  const say = (file: string) =>
    parseStatement(parseBundle(readFileSync(at(file))).payload).predicate;

  test("keeps what the same key has said of profile and source, beside a file", async () => {
    writeFileSync(at("app.img.bundle.json"), built("alice").bytes);
    await sign("--name", "registry.example/other:2", ...key("alice"), "--version", "5");
    expect(say("app.img.bundle.json")).toMatchObject({ profile: "oci-v1", source, version: 5 });
    await sign("--name", name, ...key("bob"));
    expect(say("app.img.bundle.json")).toMatchObject({ profile: undefined, source: undefined });
  });

  test("keeps it in a store, of the latest statement about this image", async () => {
    const store = at("store");
    const transaction = Transaction.begin(Store.create(store), { durability: "none" });
    transaction.put(id, image);
    transaction.publish({ image: id, name, bundles: [built("alice"), built("bob", 9)] });
    transaction.close();
    await runMain("sign", name, "--store", store, ...key("alice"), "--version", "7");
    const verified = await runMain(
      "verify",
      name,
      "--store",
      store,
      "--key",
      at("alice.pub"),
      "--json",
      "--state",
      "none",
    );
    expect(JSON.parse(verified.out)).toMatchObject({ version: 7, profile: "oci-v1", source });
    await runMain("sign", name, "--store", store, ...key("carol"), "--version", "7");
    const other = await runMain(
      "verify",
      name,
      "--store",
      store,
      "--key",
      at("carol.pub"),
      "--json",
      "--state",
      "none",
    );
    expect(JSON.parse(other.out).profile).toBeUndefined();
  });

  test("takes nobody's word that is not signed by the key, or about another image", async () => {
    const forged = JSON.parse(Buffer.from(built("alice").bytes).toString());
    forged.dsseEnvelope.signatures[0].sig = Buffer.alloc(64, 1).toString("base64");
    for (const junk of [JSON.stringify(forged), "{}", ""]) {
      writeFileSync(at("app.img.bundle.json"), junk);
      expect((await sign("--name", name, ...key("alice"))).status).toBe(0);
      expect(say("app.img.bundle.json").profile).toBeUndefined();
    }
    writeFileSync(at("app.img"), goldenImage("ext-1-byte.v1").bytes);
    writeFileSync(at("app.img.bundle.json"), built("alice").bytes);
    await sign("--name", name, ...key("alice"));
    expect(say("app.img.bundle.json").profile).toBeUndefined();
  });
});

describe("a key that is elsewhere", () => {
  const printed = async (...more: string[]) => {
    const { bytes, status } = await sign("--name", name, "--print-pae", ...more);
    expect(status).toBe(0);
    writeFileSync(at("pae"), bytes);
  };
  const openssl = oracle("openssl");
  const sealWith = (who: string, file = "pae") => {
    const args = ["pkeyutl", "-sign", "-rawin", "-inkey", at(`${who}.key`), "-in", at(file)];
    execFileSync(openssl!, [...args, "-out", at("sig")]);
  };
  const attach = (who: string, ...more: string[]) =>
    sign("--attach", at("sig"), "--with-key", at(`${who}.pub`), ...more);

  test.skipIf(openssl === undefined)(
    "signs printed bytes, and the signature is attached (skipped without openssl)",
    async () => {
      await printed();
      expect(existsSync(at("app.img.bundle.json"))).toBe(false);
      sealWith("alice");
      expect((await attach("alice", "--pae", at("pae"))).status).toBe(0);
      const verified = await verifyByAlice();
      expect(verified.status).toBe(0);
      // The second signer, in base64: printed bytes again, or the statement that is there.
      sealWith("bob");
      writeFileSync(at("sig"), `${readFileSync(at("sig")).toString("base64")}\n`);
      expect((await attach("bob", "--pae", at("pae"))).status).toBe(0);
      expect((await verify()).status).toBe(0);
      const again = await sign("--add", "--print-pae");
      expect(Buffer.from(again.bytes).equals(readFileSync(at("pae")))).toBe(true);
      sealWith("carol");
      expect((await attach("carol", "--add")).status).toBe(0);
      expect((await verify()).out).toContain(id_("carol"));
    },
  );

  test.skipIf(openssl === undefined)(
    "is refused with a signature by another key, over other bytes, or about another image",
    async () => {
      await printed();
      sealWith("bob");
      expect((await attach("alice", "--pae", at("pae"))).err).toContain("not by SHA256:");
      const changed = readFileSync(at("pae"));
      changed[changed.length - 1]! ^= 1;
      writeFileSync(at("flipped"), changed);
      sealWith("alice", "flipped");
      expect((await attach("alice", "--pae", at("pae"))).status).toBe(5);
      expect((await attach("alice", "--pae", at("flipped"))).status).toBe(5);
      sealWith("alice");
      expect((await attach("alice", "--pae", at("pae"), "--name", "other")).status).toBe(5);
      expect((await attach("alice")).status).toBe(2);
      writeFileSync(at("app.img"), goldenImage("ext-1-byte.v1").bytes);
      expect((await attach("alice", "--pae", at("pae"))).err).toContain("about another image");
      expect(existsSync(at("app.img.bundle.json"))).toBe(false);
    },
  );

  test.skipIf(openssl === undefined)("signs behind a command", async () => {
    const file = `cat > ${at("in")}; openssl pkeyutl -sign -rawin -inkey ${at("alice.key")} -in ${at("in")}`;
    const with_ = (cmd: string) =>
      sign("--name", name, "--sign-cmd", cmd, "--with-key", at("alice.pub"));
    expect((await with_(file)).status).toBe(0);
    const verified = await verifyByAlice();
    expect(verified.status).toBe(0);
    rmSync(at("app.img.bundle.json"));
    const payload = `openssl pkeyutl -sign -rawin -inkey ${at("alice.key")} -in "$SEALFS_PAYLOAD"`;
    expect((await with_(payload)).status).toBe(0);
    expect((await verifyByAlice()).status).toBe(0);
    rmSync(at("app.img.bundle.json"));
    // The file is what standard input is, nobody else's to read, and gone afterwards.
    const look = `cat > ${at("in")}; echo "$SEALFS_PAYLOAD" > ${at("path")}; stat -c %a "$SEALFS_PAYLOAD" "$(dirname "$SEALFS_PAYLOAD")" > ${at("modes")}; cmp ${at("in")} "$SEALFS_PAYLOAD" && ${payload}`;
    expect((await with_(look)).status).toBe(0);
    const path = readFileSync(at("path"), "utf8").trim();
    expect(readFileSync(at("modes"), "utf8")).toBe("600\n700\n");
    expect([existsSync(path), existsSync(dirname(path))]).toEqual([false, false]);
    rmSync(at("app.img.bundle.json"));
    expect((await with_(`echo "$SEALFS_PAYLOAD" > ${at("path")}; exit 3`)).status).toBe(1);
    expect(existsSync(dirname(readFileSync(at("path"), "utf8").trim()))).toBe(false);
    expect((await with_("cat > /dev/null; exit 3")).err).toContain("exit status 3");
    expect((await with_("cat > /dev/null; echo nonsense")).status).toBe(5);
    expect((await with_("head -c 64 /dev/zero")).err).toContain("not by SHA256:");
    expect(existsSync(at("app.img.bundle.json"))).toBe(false);
  });

  test.skipIf(oracle("ssh-agent") === undefined || oracle("ssh-add") === undefined)(
    "signs in ssh-agent (skipped without OpenSSH)",
    async () => {
      const socket = at("agent");
      const agent = spawn(oracle("ssh-agent")!, ["-D", "-a", socket], { stdio: "ignore" });
      try {
        await until(() => existsSync(socket));
        const env = { ...process.env, SSH_AUTH_SOCK: socket };
        execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at("ssh")]);
        expect(spawnSync("ssh-add", ["-q", at("ssh")], { env }).status).toBe(0);
        process.env["SSH_AUTH_SOCK"] = socket;
        const with_ = (pub: string) => sign("--name", name, "--ssh-agent", "--with-key", at(pub));
        expect((await with_("ssh.pub")).status).toBe(0);
        const verified = await runMain(
          "verify",
          at("app.img"),
          "--key",
          at("ssh.pub"),
          "--name",
          name,
        );
        expect(verified.status).toBe(0);
        expect((await with_("alice.pub")).err).toContain("does not sign with SHA256:");
      } finally {
        delete process.env["SSH_AUTH_SOCK"];
        agent.kill();
      }
    },
  );

  test("is asked for: no option may contradict another, and one key is needed", async () => {
    for (const wrong of [
      [],
      ["--sign-cmd", "true"],
      [...key("alice"), "--ssh-agent"],
      [...key("alice"), "--print-pae"],
      ["--ssh-agent", "--with-key", at("alice.pub")],
    ]) {
      expect((await sign("--name", name, ...wrong)).status).toBe(2);
    }
  });
});

test("sidecars for other tools are written beside the image, with a key in a file only", async () => {
  const sidecars = ["--sidecar", "ssh", "--sidecar", "minisign"];
  const signed = await sign("--name", name, ...key("alice"), ...sidecars);
  expect(signed.status).toBe(0);
  expect(readFileSync(at("app.img.sig"), "utf8")).toContain("BEGIN SSH SIGNATURE");
  expect(readFileSync(at("app.img.minisig"), "utf8")).toContain(`trusted comment: name:${name}`);
  const check = /checked with: minisign (.*)/.exec(signed.err)![1]!.split(" ");
  const minisign = oracle("minisign");
  if (minisign !== undefined) expect(spawnSync(minisign, check).status).toBe(0);
  expect((await sign("--name", name, ...key("alice"), "--sidecar", "pgp")).status).toBe(2);
  rmSync(at("app.img.bundle.json"));
  const elsewhere = ["--sign-cmd", "true", "--with-key", at("alice.pub")];
  expect((await sign("--name", name, ...elsewhere, ...sidecars)).status).toBe(2);
  expect(existsSync(at("app.img.bundle.json"))).toBe(false);
});

test("an agent that answers nonsense, too much or nothing is an error, not a hang", async () => {
  const answers = [
    Buffer.of(0, 0, 0, 1, 5),
    Buffer.of(0, 0, 0, 1, 14),
    Buffer.of(0, 0, 0, 5, 14, 255, 255, 255, 255),
    Buffer.alloc(100_000, 255),
    undefined,
  ];
  for (const [i, answer] of answers.entries()) {
    const socket = at(`fake${i}`);
    const server = createServer((connection) => {
      connection.on("error", () => undefined);
      if (answer === undefined) connection.end();
      else connection.write(answer);
    });
    await new Promise<void>((done) => server.listen(socket, done));
    await expect(agentSigner(alice.publicKey, socket).sign(utf8("x"))).rejects.toThrow("ssh-agent");
    server.close();
  }
  await expect(agentSigner(alice.publicKey, at("none")).sign(utf8("x"))).rejects.toThrow("ENOENT");
});

test("signatures are 64 bytes, or their base64", () => {
  const bytes = new Uint8Array(64).fill(7);
  const text = Buffer.from(bytes).toString("base64");
  for (const form of [bytes, utf8(text), utf8(`${text}\n`)]) {
    expect(parseSignature(form, "sig")).toEqual(bytes);
  }
  for (const form of ["", "x", `${text}${text}`, `${text} x`, "A".repeat(63)]) {
    expect(refusal(() => parseSignature(utf8(form), "sig"))).toBe("BAD_ENCODING");
  }
});

describe("printed bytes", () => {
  test("are read as what they were made of, and nothing else is", () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 40 }),
        (type, payload) => {
          const read = parsePreAuthEncoding(preAuthEncoding(type, payload));
          expect(read).toEqual({ payloadType: type, payload });
        },
      ),
    );
    for (const text of [
      "",
      "DSSEv1",
      "DSSEv1 1 a 1 bc",
      "DSSEv1 1 a 2 b",
      "DSSEv1 01 a 1 b",
      "DSSEv1 1 a 01 b",
      "DSSEv1 2 a 1 b",
      "DSSEv2 1 a 1 b",
      "DSSEv1 1 a 1 b\n",
      " DSSEv1 1 a 1 b",
    ]) {
      expect(parsePreAuthEncoding(utf8(text))).toBeUndefined();
    }
  });
});
