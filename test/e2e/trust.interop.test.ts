/** Signatures and keys against the tools of others: OpenSSL, OpenSSH, cosign, signify. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readPrivateKey, readPublicKey } from "../../src/image/key-files.ts";
import { signImage } from "../../src/image/sign.ts";
import { verifyImageFile } from "../../src/image/verify.ts";
import { encodeBase64 } from "../../src/trust/base64.ts";
import { formatBundle, parseBundle } from "../../src/trust/bundle.ts";
import { type Envelope, envelopeObject, preAuthEncoding } from "../../src/trust/dsse.ts";
import { Keyring } from "../../src/trust/keyring.ts";
import { PREDICATE_TYPE } from "../../src/trust/statement.ts";
import { goldenImage } from "../support/golden-images.ts";
import { oracle } from "../support/oracle.ts";
import { alice, keyring, mallory, name, now, testKey } from "../support/trust.ts";

let folder: string;
let envelope: Envelope;
const image = goldenImage("ext-basic.v1").bytes;
const at = (file: string) => join(folder, file);
const write = (file: string, bytes: Uint8Array | string) => writeFileSync(at(file), bytes);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sealfs-interop-"));
  const { bundle } = signImage(image, {
    name,
    key: alice,
    version: 7,
    created: new Date("2026-09-01T00:00:00Z"),
    expires: new Date("2027-09-01T00:00:00Z"),
  });
  envelope = parseBundle(bundle);
  const pae = preAuthEncoding(envelope.payloadType, envelope.payload);
  const changed = pae.slice();
  changed[changed.length - 1]! ^= 1;
  write("image", image);
  write("other", goldenImage("ext-1-byte.v1").bytes);
  write("bundle", bundle);
  write("envelope", JSON.stringify(envelopeObject(envelope)));
  write("pae", pae);
  write("changed", changed);
  write("sig", envelope.signatures[0]!.bytes);
  write("alice.pub", alice.publicKey.toPem());
  write("mallory.pub", mallory.publicKey.toPem());
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a tool in the folder. */
function run(tool: string, ...args: string[]) {
  const env = { ...process.env, COSIGN_PASSWORD: "" };
  const result = spawnSync(oracle(tool)!, args, { cwd: folder, encoding: "utf8", env });
  return { status: result.status, text: result.stdout + result.stderr };
}

describe.skipIf(oracle("openssl") === undefined)("openssl (skipped where it is missing)", () => {
  const verify = (message: string, key: string) =>
    run(
      "openssl",
      "pkeyutl",
      "-verify",
      "-rawin",
      "-pubin",
      "-inkey",
      key,
      "-in",
      message,
      "-sigfile",
      "sig",
    );

  test("verifies our signature, and no other key or text", () => {
    expect(verify("pae", "alice.pub").text).toContain("Signature Verified Successfully");
    expect(verify("changed", "alice.pub").status).not.toBe(0);
    expect(verify("pae", "mallory.pub").status).not.toBe(0);
  });

  test("signs what we verify, with a key that it made", () => {
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", "theirs.key");
    run("openssl", "pkey", "-in", "theirs.key", "-pubout", "-out", "theirs.pub");
    run(
      "openssl",
      "pkeyutl",
      "-sign",
      "-rawin",
      "-inkey",
      "theirs.key",
      "-in",
      "pae",
      "-out",
      "theirs.sig",
    );
    const key = readPublicKey(at("theirs.pub"));
    expect(readPrivateKey(at("theirs.key")).publicKey.id).toBe(key.id);
    const bytes = new Uint8Array(readFileSync(at("theirs.sig")));
    const bundle = formatBundle({ ...envelope, signatures: [{ keyId: key.id, bytes }] });
    const request = { bytes: image, bundles: [bundle], name, now };
    expect(verifyImageFile({ ...request, trust: new Keyring([key]) }).keyId).toBe(key.id);
    expect(() => verifyImageFile({ ...request, trust: keyring })).toThrow("not trusted");
  });
});

describe.skipIf(oracle("ssh-keygen") === undefined)(
  "ssh-keygen (skipped where it is missing)",
  () => {
    test("gives every key the id that we give it", () => {
      for (const key of [alice, mallory, testKey(3), testKey(4)].map(
        ({ publicKey }) => publicKey,
      )) {
        write("ssh.pub", `${key.toSsh()} comment\n`);
        expect(run("ssh-keygen", "-lf", "ssh.pub").text.split(" ")[1]).toBe(key.id);
        expect(readPublicKey(at("ssh.pub")).id).toBe(key.id);
      }
    });

    test("makes keys whose public half we read", () => {
      run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ssh");
      const id = run("ssh-keygen", "-lf", "ssh.pub").text.split(" ")[1];
      expect(readPublicKey(at("ssh.pub")).id).toBe(id);
      expect(() => readPrivateKey(at("ssh"))).toThrow("expected one PEM block PRIVATE KEY");
    });
  },
);

describe.skipIf(oracle("cosign") === undefined)("cosign (skipped where it is missing)", () => {
  const verify = (what: string[], type: string, file: string, key = "alice.pub") => {
    const options = ["--insecure-ignore-tlog", "--key", key, ...what, "--type", type];
    return run("cosign", "verify-blob-attestation", ...options, file);
  };
  const bundle = ["--bundle", "bundle", "--trusted-root", "root.json"];
  beforeAll(() => {
    const mediaType = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
    write("root.json", JSON.stringify({ mediaType }));
  });

  test("verifies our bundle, offline and with the key alone", () => {
    expect(verify(bundle, PREDICATE_TYPE, "image").text).toContain("Verified OK");
  });

  test("verifies the bare envelope", () => {
    const { text } = verify(["--signature", "envelope"], PREDICATE_TYPE, "image");
    expect(text).toContain("Verified OK");
  });

  test("refuses another image, another type and another key", () => {
    expect(verify(bundle, PREDICATE_TYPE, "other").status).not.toBe(0);
    expect(verify(bundle, "https://sealfs.dev/other/v1", "image").status).not.toBe(0);
    expect(verify(bundle, PREDICATE_TYPE, "image", "mallory.pub").status).not.toBe(0);
  });
});

describe.skipIf(oracle("signify-openbsd") === undefined)(
  "signify (skipped where it is missing)",
  () => {
    // Its files: a comment line, then base64 of "Ed", an 8-byte key number, and key or signature.
    const file = (comment: string, bytes: Uint8Array) => {
      const head = new TextEncoder().encode("Ed12345678");
      return `untrusted comment: ${comment}\n${encodeBase64(Buffer.concat([head, bytes]))}\n`;
    };
    const verify = (message: string, key: string) =>
      run("signify-openbsd", "-V", "-p", key, "-x", "signify.sig", "-m", message);

    test("verifies the same 64 bytes", () => {
      write("signify.sig", file("signature", envelope.signatures[0]!.bytes));
      write("signify.pub", file("alice", alice.publicKey.bytes));
      write("signify2.pub", file("mallory", mallory.publicKey.bytes));
      expect(verify("pae", "signify.pub").text).toContain("Signature Verified");
      expect(verify("changed", "signify.pub").status).not.toBe(0);
      expect(verify("pae", "signify2.pub").status).not.toBe(0);
    });
  },
);
