/** Key files: which are read, what they are called, and which are refused. */
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64, encodeBase64 } from "../../../src/trust/base64.ts";
import { Keyring } from "../../../src/trust/keyring.ts";
import { parsePem } from "../../../src/trust/pem.ts";
import { isEncrypted, parsePrivateKey } from "../../../src/trust/private-key.ts";
import { PublicKey, parsePublicKey } from "../../../src/trust/public-key.ts";
import { alice, refusal, testKey } from "../../support/trust.ts";

// `ssh-keygen -lf` of this line prints this fingerprint (OpenSSH 9.2).
const sshLine = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c`;
const fingerprint = "SHA256:fe85JkIjo8VPe+XqXJGH5Mau1EMFdK1OdKvJUFicyA8";

test("the id of a key is the fingerprint that ssh-keygen prints", () => {
  expect(alice.publicKey.toSsh()).toBe(sshLine);
  expect(alice.publicKey.id).toBe(fingerprint);
});

test("reads what OpenSSL writes, and OpenSSL reads what it writes", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const key = parsePrivateKey(pem);
  expect(key.toPem()).toBe(pem);
  expect(key.publicKey.toPem()).toBe(publicKey.export({ format: "pem", type: "spki" }));
  expect(parsePublicKey(key.publicKey.toPem()).id).toBe(key.publicKey.id);
});

test("reads an OpenSSH line with or without a comment, and remarks in front of PEM", () => {
  expect(parsePublicKey(sshLine).id).toBe(fingerprint);
  expect(parsePublicKey(`${sshLine} alice@example with spaces\n`).id).toBe(fingerprint);
  expect(parsePublicKey(`# whose key this is\n${alice.publicKey.toPem()}`).id).toBe(fingerprint);
  const crlf = alice.publicKey.toPem().replaceAll("\n", "\r\n");
  expect(parsePublicKey(crlf).id).toBe(fingerprint);
});

const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
const x25519 = generateKeyPairSync("x25519");
const pem = alice.publicKey.toPem();
test.each([
  ["nothing", ""],
  ["text", "not a key\n"],
  [
    "raw hex, which does not say what it is",
    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf374",
  ],
  ["an RSA key", rsa.publicKey.export({ format: "pem", type: "spki" }).toString()],
  ["an X25519 key", x25519.publicKey.export({ format: "pem", type: "spki" }).toString()],
  ["an RSA line", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAYQ=="],
  ["an RSA key on an ed25519 line", "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAAAYQDFalse"],
  ["two keys", pem + testKey(2).publicKey.toPem()],
  ["two lines", `${sshLine}\n${sshLine}\n`],
  ["text behind", `${pem}more\n`],
  ["text in front that is no remark", `more\n${pem}`],
  ["a private key", alice.toPem()],
  ["another label", pem.replaceAll("PUBLIC KEY", "CERTIFICATE")],
  ["labels that differ", pem.replace("END PUBLIC", "END RSA PUBLIC")],
  ["base64 of the lenient kind", pem.replace("MCow", "MC*ow")],
  ["one byte less", `-----BEGIN PUBLIC KEY-----\n${"MCow".repeat(10)}\n-----END PUBLIC KEY-----\n`],
])("refuses %s for a public key", (_, text) => {
  expect(refusal(() => parsePublicKey(text))).toBe("BAD_KEY");
});

test.each([
  ["a public key", pem],
  ["an RSA key", rsa.privateKey.export({ format: "pem", type: "pkcs8" }).toString()],
  ["an X25519 key", x25519.privateKey.export({ format: "pem", type: "pkcs8" }).toString()],
  [
    "an OpenSSH private key",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
  ],
  ["nothing", ""],
])("refuses %s for a private key", (_, text) => {
  expect(refusal(() => parsePrivateKey(text))).toBe("BAD_KEY");
});

test("an encrypted private key is recognised, and not parsed as an unencrypted one", () => {
  const key = createPrivateKey(alice.toPem());
  const encrypted = key
    .export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "secret" })
    .toString();
  expect(isEncrypted(encrypted)).toBe(true);
  expect(isEncrypted(alice.toPem())).toBe(false);
  expect(refusal(() => parsePrivateKey(encrypted))).toBe("BAD_KEY");
});

test("shows nothing of a private key but its PEM", () => {
  expect(JSON.stringify(alice)).not.toContain("1,1,1");
  expect(Object.keys(alice)).toEqual(["publicKey"]);
});

test("a keyring holds each key once, and at least one", () => {
  const again = parsePublicKey(sshLine);
  expect(refusal(() => new Keyring([alice.publicKey, again]))).toBe("BAD_KEY");
  expect(refusal(() => new Keyring([]))).toBe("NO_KEY");
  const many = Array.from({ length: 129 }, (_, i) => testKey(i).publicKey);
  expect(refusal(() => new Keyring(many))).toBe("BAD_KEY");
  expect(new Keyring(many.slice(0, 128)).keys.length).toBe(128);
});

test("the bytes of a key cannot be changed from outside", () => {
  const bytes = alice.publicKey.bytes;
  const key = new PublicKey(bytes);
  bytes.fill(0);
  key.bytes.fill(0);
  expect(key.toPem()).toBe(alice.publicKey.toPem());
});

test("base64 has one text for each byte string", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = encodeBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64"));
      expect(decodeBase64(text)).toEqual(bytes);
      expect(decodeBase64(text.replaceAll("+", "-").replaceAll("/", "_"))).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...Array.from("ABQg/+-_=*")), maxLength: 8 }),
      (text) => {
        const bytes = decodeBase64(text);
        const standard = text.replaceAll("-", "+").replaceAll("_", "/");
        if (bytes !== undefined) expect(encodeBase64(bytes)).toBe(standard);
      },
    ),
  );
});

test.each([
  ["a star", "AA*A"],
  ["a space", "AA A"],
  ["a newline", "AAAA\n"],
  ["missing padding", "AA"],
  ["one character too many", "AAAAA"],
  ["padding too much", "AAA=="],
  ["padding inside", "AA==AAAA"],
  ["only padding", "===="],
  ["bits left over", "AB=="],
  ["bits left over with one pad", "AAB="],
  ["both alphabets", "+-+-"],
  ["a character outside ASCII", "AAé="],
])("refuses base64 with %s", (_, text) => {
  expect(decodeBase64(text)).toBeUndefined();
});

test("a PEM file is one block, or nothing", () => {
  expect(parsePem(pem)?.label).toBe("PUBLIC KEY");
  expect(parsePem(pem + pem)).toBeUndefined();
});
