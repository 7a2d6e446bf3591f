/** The command pkcs7, against fsverity and openssl. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseCertificate, verifyPkcs7, verityMessage } from "../src/image/pkcs7.ts";
import { verityDigestOf } from "../src/verity/hasher.ts";
import { goldenImage } from "./support/golden-images.ts";
import { oracle } from "./support/oracle.ts";
import { run } from "./support/run.ts";
import { refusal } from "./support/trust.ts";

const openssl = oracle("openssl");
const fsverity = oracle("fsverity");
const image = goldenImage("ext-basic.v1").bytes;
const digest = verityDigestOf(image);
let folder: string;
const at = (file: string) => join(folder, file);

describe.skipIf(openssl === undefined)("pkcs7 (skipped without openssl)", () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "sealfs-pkcs7-"));
    writeFileSync(at("app.img"), image);
    writeFileSync(at("other.img"), goldenImage("ext-1-byte.v1").bytes);
    writeFileSync(at("message"), verityMessage(digest));
    const make = (name: string, ...kind: string[]) => {
      const files = ["-keyout", at(`${name}.key`), "-out", at(`${name}.pem`)];
      const subject = ["-nodes", "-x509", "-days", "30", "-subj", `/CN=${name}`];
      execFileSync(openssl!, ["req", "-newkey", ...kind, ...subject, ...files], {
        stdio: "ignore",
      });
    };
    make("rsa", "rsa:2048");
    make("mallory", "rsa:2048");
    make("ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const sign = (name: string, ...more: string[]) =>
    run(
      "pkcs7",
      "sign",
      at("app.img"),
      "--cert",
      at(`${name}.pem`),
      "--key",
      at(`${name}.key`),
      ...more,
    );
  const verify = (name: string, file = "app.img", signature = "app.img.p7s") =>
    run("pkcs7", "verify", at(file), "--cert", at(`${name}.pem`), "--signature", at(signature));
  const theirs = (name: string) =>
    spawnSync(openssl!, [
      ..."smime -verify -binary -inform DER -noverify -nointern".split(" "),
      "-in",
      at("app.img.p7s"),
      "-content",
      at("message"),
      "-certfile",
      at(`${name}.pem`),
    ]).status;

  test.skipIf(fsverity === undefined)(
    "makes the file of fsverity sign, byte for byte (skipped without fsverity)",
    async () => {
      expect((await sign("rsa")).out).toBe(digest);
      const keys = [`--key=${at("rsa.key")}`, `--cert=${at("rsa.pem")}`];
      execFileSync(fsverity!, ["sign", at("app.img"), at("theirs.p7s"), ...keys]);
      expect(readFileSync(at("app.img.p7s")).equals(readFileSync(at("theirs.p7s")))).toBe(true);
      expect((await verify("rsa", "app.img", "theirs.p7s")).status).toBe(0);
    },
  );

  test.each(["rsa", "ec"])(
    "signs with %s what openssl and we verify, and nobody else's",
    async (name) => {
      await sign(name);
      expect(theirs(name)).toBe(0);
      expect(await verify(name)).toMatchObject({ status: 0, out: digest });
      expect((await verify("mallory")).status).toBe(5);
      expect((await verify(name, "other.img")).err).toContain("does not fit the digest");
    },
  );

  test("prints the annotations of the composefs draft", async () => {
    const { out } = await sign("rsa", "--annotations");
    const key = "composefs.merged.erofs.v1.fsverity-sha256-12";
    const signature = readFileSync(at("app.img.p7s")).toString("base64");
    expect(out).toBe(`${key}=${digest}\n${key}.sig=${signature}`);
  });

  test("refuses every changed bit, and what stands behind", async () => {
    await sign("rsa");
    const file = readFileSync(at("app.img.p7s"));
    const signatory = parseCertificate(readFileSync(at("rsa.pem"), "utf8"), "certificate");
    const verdict = (bytes: Uint8Array) => refusal(() => verifyPkcs7(bytes, digest, signatory));
    expect(verdict(file)).toBe("accepted");
    for (let bit = 0; bit < file.length * 8; bit += process.env["SLOW"] ? 1 : 7) {
      const changed = Buffer.from(file);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(["BAD_ENCODING", "BAD_SIGNATURE"]).toContain(verdict(changed));
    }
    for (const bytes of [Buffer.alloc(0), file.subarray(1), Buffer.concat([file, Buffer.of(0)])]) {
      expect(verdict(bytes)).toBe("BAD_ENCODING");
    }
    for (let length = 0; length < file.length; length += 5) {
      expect(verdict(file.subarray(0, length))).toBe("BAD_ENCODING");
    }
  });

  test("takes no key of another certificate, and no key that others may read", async () => {
    const mixed = ["--cert", at("rsa.pem"), "--key", at("mallory.key"), "-o", at("none.p7s")];
    const result = await run("pkcs7", "sign", at("app.img"), ...mixed);
    expect(result.err).toContain("is not the key of the certificate");
    execFileSync("chmod", ["644", at("ec.key")]);
    expect((await sign("ec")).err).toContain("lets others read it");
    execFileSync("chmod", ["600", at("ec.key")]);
    expect((await run("pkcs7", "verify", at("app.img"), "--cert", at("rsa.key"))).status).toBe(5);
  });
});
