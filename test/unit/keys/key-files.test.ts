/** Key files on the disk. */
import { execFileSync } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { SealfsError } from "../../../src/errors.ts";
import { readKeyring, readPrivateKey, readPublicKey } from "../../../src/keys/key-files.ts";
import { writeKeyPair } from "../../../src/keys/keygen.ts";
import { oracle } from "../../support/oracle.ts";
import { alice, mallory, refusal } from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";

let folder: string;
const at = (name: string) => join(folder, name);
beforeEach(() => {
  folder = scratchFolder();
});

/** Writes a file with this mode, whatever the umask. */
function write(name: string, text: string, mode = 0o600): string {
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
  return at(name);
}

test("a new pair is readable, private, and different each time", () => {
  const first = writeKeyPair(at("first"));
  const second = writeKeyPair(at("second"));
  expect(first.keyId).not.toBe(second.keyId);
  expect(statSync(first.privatePath).mode & 0o777).toBe(0o600);
  expect(readPrivateKey(first.privatePath).publicKey.id).toBe(first.keyId);
  expect(readPublicKey(first.publicPath).id).toBe(first.keyId);
});

test("a new pair never replaces another", () => {
  const { keyId, privatePath, publicPath } = writeKeyPair(at("pair"));
  expect(refusal(() => writeKeyPair(at("pair")))).toBe("USAGE");
  rmSync(publicPath);
  expect(refusal(() => writeKeyPair(at("pair")))).toBe("USAGE");
  expect(readPrivateKey(privatePath).publicKey.id).toBe(keyId);
  rmSync(privatePath);
  writeFileSync(publicPath, "kept");
  expect(refusal(() => writeKeyPair(at("pair")))).toBe("USAGE");
  expect(readFileSync(publicPath, "utf8")).toBe("kept");
  expect(() => statSync(privatePath)).toThrow("ENOENT");
});

test.each([0o644, 0o640, 0o660, 0o604, 0o601])("a private key of mode %o is refused", (mode) => {
  const path = write("key", alice.toPem(), mode);
  expect(refusal(() => readPrivateKey(path))).toBe("BAD_KEY");
  chmodSync(path, 0o400);
  expect(readPrivateKey(path).publicKey.id).toBe(alice.publicKey.id);
});

test("a file that is not a key, too large or missing is reported as such", () => {
  expect(refusal(() => readPrivateKey(at("none")))).toBe("NO_FILE");
  expect(refusal(() => readPublicKey(at("none")))).toBe("NO_FILE");
  expect(refusal(() => readPrivateKey(write("empty", "")))).toBe("BAD_KEY");
  expect(refusal(() => readPublicKey(write("large", "#".repeat(65 * 1024))))).toBe("BAD_KEY");
  expect(refusal(() => readPublicKey(write("secret", alice.toPem())))).toBe("BAD_KEY");
});

/** Message and hint of what `read` throws. */
function told(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof SealfsError) return `${error.message}\n${error.hint ?? ""}`;
    throw error;
  }
  throw new Error("accepted");
}

describe("a file in the place of another", () => {
  test("is told as what it is, where a public key is expected", () => {
    const public_ = (text: string) => told(() => readPublicKey(write("k", text)));
    expect(public_(alice.toPem())).toMatch(/got a private key\ngive the \.pub file/);
    expect(public_('{"type":"policy"}')).toMatch(/got JSON\n.*--policy/);
    expect(public_("")).toContain("got an empty file");
    expect(public_("\x300*\0\x05")).toMatch(/got binary data\n.*DER/);
    const minisign = `untrusted comment: secret\n${Buffer.alloc(158).toString("base64")}\n`;
    expect(public_(minisign)).toContain("got a private key");
    const pem = alice.publicKey.toPem().replaceAll("PUBLIC KEY", "CERTIFICATE");
    expect(public_(pem)).toContain("got a certificate");
  });

  test("is told as what it is, where a private key is expected, and not for its mode", () => {
    const secret = (text: string, mode = 0o644) =>
      told(() => readPrivateKey(write("k", text, mode)));
    for (const text of [alice.publicKey.toPem(), `${alice.publicKey.toSsh()} me\n`]) {
      expect(secret(text)).toMatch(/expected a private key, got a public key\n.*PREFIX\.key/);
    }
    expect(secret(alice.toPem())).toMatch(/mode 0644 lets others read it\nchmod 600 /);
    expect(secret(alice.toPem().replaceAll(" PRIVATE", " RSA PRIVATE"), 0o600)).toContain(
      "expected one PEM block PRIVATE KEY, got RSA PRIVATE KEY",
    );
  });

  test("is told with the option for it, when it is a directory, or a file for one", () => {
    const file = write("k.pub", alice.publicKey.toPem());
    expect(told(() => readPublicKey(folder))).toMatch(/got a directory\n.*--keys/);
    expect(told(() => readPrivateKey(folder))).toMatch(/private key .* got a directory/);
    expect(told(() => readKeyring([], [file]))).toMatch(/directory, got a file\n.*--key$/);
    expect(told(() => readKeyring([], [at("none")]))).toMatch(/none: no such directory/);
  });
});

describe("a new pair", () => {
  test("is not made where there is no directory, or in the place of one", () => {
    expect(told(() => writeKeyPair(at("none/k")))).toMatch(
      /none\/k\.key: there is no directory .*\nmake it with: mkdir -p /,
    );
    write("file", "");
    expect(told(() => writeKeyPair(at("file/k")))).toMatch(/file is not a directory/);
  });
});

describe("a keyring", () => {
  test("is made of files and of folders of *.pem and *.pub", () => {
    mkdirSync(at("keys"));
    write("keys/alice.pub", alice.publicKey.toPem());
    write("keys/mallory.pem", `${mallory.publicKey.toSsh()} mallory\n`);
    write("keys/README.md", "not a key");
    write("keys/.hidden.pub", "not a key");
    const ids = readKeyring([], [at("keys")]).keys.map(({ id }) => id);
    expect(ids).toEqual([alice.publicKey.id, mallory.publicKey.id]);
  });

  test("has a key once that is in several files", () => {
    mkdirSync(at("keys"));
    const { publicPath, keyId } = writeKeyPair(at("keys/first"));
    write("copy.pub", readFileSync(publicPath, "utf8"));
    const { keys } = readKeyring([at("copy.pub"), publicPath], [at("keys")]);
    expect(keys.map(({ id }) => id)).toEqual([keyId]);
  });

  test("is refused when it is empty or has one bad key", () => {
    mkdirSync(at("keys"));
    expect(refusal(() => readKeyring([], [at("keys")]))).toBe("NO_KEY");
    expect(refusal(() => readKeyring([], []))).toBe("USAGE");
    expect(refusal(() => readKeyring([], [at("none")]))).toBe("NO_FILE");
    write("keys/alice.pub", alice.publicKey.toPem());
    write("keys/bad.pub", "not a key");
    expect(refusal(() => readKeyring([], [at("keys")]))).toBe("BAD_KEY");
  });
});

describe.skipIf(oracle("openssl") === undefined)("a key that OpenSSL encrypted", () => {
  const encrypt = (...method: string[]) => {
    const plain = write("plain.key", alice.toPem());
    const options = ["-topk8", "-v2", "aes-256-cbc", ...method, "-passout", "pass:secret"];
    execFileSync("openssl", ["pkcs8", ...options, "-in", plain, "-out", at("box.key")]);
    chmodSync(at("box.key"), 0o600);
    return at("box.key");
  };

  test.each([[["-scrypt"]], [["-iter", "100000"]]])(
    "%j is opened with its passphrase",
    (method) => {
      const path = encrypt(...method);
      expect(readPrivateKey(path, () => "secret").publicKey.id).toBe(alice.publicKey.id);
      expect(refusal(() => readPrivateKey(path, () => "wrong"))).toBe("BAD_KEY");
      expect(refusal(() => readPrivateKey(path))).toBe("BAD_KEY");
    },
  );

  test("is the only one for which a passphrase is asked", () => {
    const plain = write("plain.key", alice.toPem());
    const asked = () => {
      throw new Error("asked");
    };
    expect(readPrivateKey(plain, asked).publicKey.id).toBe(alice.publicKey.id);
  });
});

describe("an encrypted key", () => {
  test("is made with scrypt, and opened by its passphrase alone, also by OpenSSL", () => {
    const { privatePath, keyId } = writeKeyPair(at("box"), "correct horse");
    const text = readFileSync(privatePath, "utf8");
    expect(text).toContain("BEGIN ENCRYPTED PRIVATE KEY");
    expect(statSync(privatePath).mode & 0o777).toBe(0o600);
    const warnings: string[] = [];
    const open = (passphrase: string) =>
      readPrivateKey(
        privatePath,
        () => passphrase,
        (message) => warnings.push(message),
      );
    expect(open("correct horse").publicKey.id).toBe(keyId);
    expect(warnings).toEqual([]);
    expect(refusal(() => open("wrong"))).toBe("BAD_KEY");
    expect(refusal(() => readPrivateKey(privatePath))).toBe("BAD_KEY");
    const openssl = oracle("openssl");
    if (openssl === undefined) return;
    write("pass", "correct horse\n");
    const args = ["pkey", "-in", privatePath, "-passin", `file:${at("pass")}`, "-pubout"];
    expect(execFileSync(openssl, args, { encoding: "utf8" })).toBe(
      readFileSync(at("box.pub"), "utf8"),
    );
    const asn1 = execFileSync(openssl, ["asn1parse", "-in", privatePath], { encoding: "utf8" });
    expect(asn1).toContain(":scrypt");
    expect(asn1).toContain(":aes-256-cbc");
  });

  test("that is guarded by few rounds of PBKDF2 is opened with a warning", () => {
    const key = createPrivateKey(alice.toPem());
    const box = { format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "x" } as const;
    const warnings: string[] = [];
    const path = write("weak", key.export(box).toString());
    const opened = readPrivateKey(
      path,
      () => "x",
      (message) => warnings.push(message),
    );
    expect(opened.publicKey.id).toBe(alice.publicKey.id);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("2048 rounds of PBKDF2");
  });
});
