/** Signatures and keys against the tools of others: OpenSSL, OpenSSH, cosign, signify. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createPublicKey } from "node:crypto";
import { join } from "node:path";
import { bundleFromJSON } from "@sigstore/bundle";
import { type TrustMaterial, Verifier, toSignedEntity } from "@sigstore/verify";
import { beforeAll, describe, expect, test } from "vitest";
import { scratchFolder } from "../support/scratch.ts";
import { readPrivateKey, readPublicKey } from "../../src/keys/key-files.ts";
import { signImage } from "../../src/sign/sign-image.ts";
import { verifyImageFile } from "../../src/verify/verified-image.ts";
import { encodeBase64 } from "../../src/trust/base64.ts";
import { formatBundle, parseBundle } from "../../src/trust/bundle.ts";
import { type Envelope, envelopeObject, preAuthEncoding } from "../../src/trust/dsse.ts";
import { Keyring } from "../../src/trust/keyring.ts";
import { SSH_NAMESPACE, sidecarOf } from "../../src/sign/sidecars.ts";
import { minisignKey } from "../../src/trust/minisign.ts";
import { PrivateKey } from "../../src/trust/private-key.ts";
import { formatSshSignature, sshSignedBytes } from "../../src/trust/sshsig.ts";
import { PREDICATE_TYPE, type Statement } from "../../src/trust/statement.ts";
import { ANY_NAME } from "../../src/trust/verify-bundles.ts";
import { goldenImage } from "../support/golden-images.ts";
import { oracle } from "../support/oracle.ts";
import { alice, keyring, mallory, name, now, refusal, testKey } from "../support/trust.ts";

let folder: string;
let envelope: Envelope;
let statement: Statement;
const image = goldenImage("ext-basic.v1").bytes;
const at = (file: string) => join(folder, file);
const write = (file: string, bytes: Uint8Array | string) => writeFileSync(at(file), bytes);

beforeAll(() => {
  folder = scratchFolder();
  const signed = signImage(image, {
    name,
    key: alice,
    version: 7,
    created: new Date("2026-09-01T00:00:00Z"),
    expires: new Date("2027-09-01T00:00:00Z"),
  });
  const { bundle } = signed;
  statement = signed.statement;
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

/** Runs a tool in the folder. */
function run(tool: string, first: string | string[], ...more: (string | Uint8Array)[]) {
  const env = { ...process.env, COSIGN_PASSWORD: "" };
  const input = more.find((each) => typeof each !== "string") ?? "";
  const rest = more.filter((each) => typeof each === "string");
  const args = Array.isArray(first) ? first : [first, ...rest];
  const result = spawnSync(oracle(tool)!, args, { cwd: folder, encoding: "utf8", env, input });
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
    const check = (namespace: string, file: string, signers = "signers") => {
      const options = ["-n", namespace, "-f", signers, "-I", "alice", "-s", "image.sig"];
      return run("ssh-keygen", ["-Y", "verify", ...options], readFileSync(at(file)));
    };

    test("verifies our signature of an image, and refuses every other thing", () => {
      write("image.sig", sidecarOf("ssh", image, statement, alice));
      write("signers", `alice ${alice.publicKey.toSsh()}\n`);
      write("others", `alice ${mallory.publicKey.toSsh()}\n`);
      expect(check(SSH_NAMESPACE, "image").text).toContain("Good");
      expect(check("git", "image").status).not.toBe(0);
      expect(check(SSH_NAMESPACE, "other").status).not.toBe(0);
      expect(check(SSH_NAMESPACE, "image", "others").status).not.toBe(0);
      const flipped = Buffer.from(readFileSync(at("image.sig")));
      flipped[flipped.length - 60]! ^= 1;
      write("image.sig", flipped);
      expect(check(SSH_NAMESPACE, "image").status).not.toBe(0);
    });

    test("makes the same file as we do from one key, byte for byte", () => {
      run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "theirs"]);
      const key = opensshPrivateKey(readFileSync(at("theirs"), "utf8"));
      expect(key.publicKey.toSsh()).toBe(readPublicKey(at("theirs.pub")).toSsh());
      for (const namespace of [SSH_NAMESPACE, "git", "a b"]) {
        rmSync(at("image.sig"), { force: true });
        run("ssh-keygen", ["-q", "-Y", "sign", "-n", namespace, "-f", "theirs", "image"]);
        const signature = key.sign(sshSignedBytes(image, namespace));
        const ours = formatSshSignature(key.publicKey, namespace, signature);
        expect(ours).toBe(readFileSync(at("image.sig"), "utf8"));
      }
    });

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

// Of Debian sid (3.x), and of Debian 13 (2.x), which asks for more.
describe.each(["cosign", "cosign-2"])("%s (skipped where it is missing)", (tool) => {
  const there = oracle(tool) !== undefined;
  const newBundle = tool === "cosign-2" ? ["--new-bundle-format", "--offline"] : [];
  const bundle = ["--bundle", "bundle", "--trusted-root", "root.json", ...newBundle];
  const verify = (what: string[], type: string, file: string, key = "alice.pub") => {
    const options = ["--insecure-ignore-tlog", "--key", key, ...what, "--type", type];
    return run(tool, "verify-blob-attestation", ...options, file);
  };
  beforeAll(() => {
    const mediaType = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
    write("root.json", JSON.stringify({ mediaType }));
    const [signature] = envelope.signatures;
    const bytes = Uint8Array.from(signature!.bytes);
    bytes[5]! ^= 1;
    write("bundle.badsig", formatBundle({ ...envelope, signatures: [{ ...signature!, bytes }] }));
    const payload = Uint8Array.from(envelope.payload);
    payload[payload.length - 3]! ^= 1;
    write("bundle.badpayload", formatBundle({ ...envelope, payload }));
  });

  test.skipIf(!there)("verifies our bundle, offline and with the key alone", () => {
    expect(verify(bundle, PREDICATE_TYPE, "image").text).toContain("Verified OK");
  });

  test.skipIf(!there)("verifies the bare envelope", () => {
    const { text } = verify(["--signature", "envelope"], PREDICATE_TYPE, "image");
    expect(text).toContain("Verified OK");
  });

  test.skipIf(!there)("verifies a plain signature of the image's bytes", () => {
    write("plain.sig", encodeBase64(alice.sign(image)));
    const options = ["--insecure-ignore-tlog", "--key", "alice.pub", "--signature", "plain.sig"];
    expect(run(tool, "verify-blob", ...options, "image").text).toContain("Verified OK");
    expect(run(tool, "verify-blob", ...options, "other").status).not.toBe(0);
  });

  test.skipIf(!there)("refuses another image, key, payload, signature and type", () => {
    expect(verify(bundle, PREDICATE_TYPE, "other").status).not.toBe(0);
    expect(verify(bundle, PREDICATE_TYPE, "image", "mallory.pub").status).not.toBe(0);
    for (const file of ["bundle.badsig", "bundle.badpayload"]) {
      const changed = ["--bundle", file, ...bundle.slice(2)];
      expect(verify(changed, PREDICATE_TYPE, "image").status, file).not.toBe(0);
    }
    const type = "https://sealfs.dev/other/v1";
    // cosign 2 does not look at the type of a bundle (CVE-2026-39395), only at an envelope's.
    const what = tool === "cosign-2" ? ["--signature", "envelope"] : bundle;
    expect(verify(what, type, "image").status).not.toBe(0);
  });

  test.skipIf(!there)("signs with our key what we refuse as a statement about a bootstrap", () => {
    write("alice.key", alice.toPem());
    write("predicate.json", "{}");
    const config = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
    write("config.json", JSON.stringify({ mediaType: config }));
    rmSync(at("imported.key"), { force: true });
    rmSync(at("imported.pub"), { force: true });
    run(tool, ["import-key-pair", "--key", "alice.key", "--output-key-prefix", "imported"]);
    const made = run(tool, [
      "attest-blob",
      "--key",
      "imported.key",
      "--predicate",
      "predicate.json",
      "--yes",
      "--type",
      PREDICATE_TYPE,
      ...(tool === "cosign-2"
        ? ["--tlog-upload=false", "--output-signature", "theirs"]
        : ["--bundle", "theirs", "--signing-config", "config.json"]),
      "image",
    ]);
    expect(made).toMatchObject({ status: 0 });
    const bundles = [new Uint8Array(readFileSync(at("theirs")))];
    // cosign 3 signs with Ed25519ph; cosign 2 with what we accept, but it says something else.
    const code = tool === "cosign-2" ? "UNSUPPORTED_STATEMENT" : "UNTRUSTED_KEY";
    const request = { bytes: image, bundles, trust: keyring, name: ANY_NAME, now } as const;
    expect(refusal(() => verifyImageFile(request))).toBe(code);
  });
});

describe.skipIf(oracle("minisign") === undefined)("minisign (skipped where it is missing)", () => {
  const verify = (file: string, { publicKey } = alice, ...more: string[]) =>
    run(
      "minisign",
      ["-V", "-P", minisignKey(publicKey), "-x", "image.minisig", "-m", file].concat(more),
    );

  test("verifies our signature of an image with its comment, and refuses every other thing", () => {
    const text = sidecarOf("minisign", image, statement, alice);
    write("image.minisig", text);
    const good = verify("image");
    expect(good).toMatchObject({ status: 0 });
    expect(good.text).toContain(`name:${name} version:7 expires:2027-09-01T00:00:00Z`);
    expect(verify("image", alice, "-H").status).toBe(0);
    expect(verify("other").status).not.toBe(0);
    expect(verify("image", mallory).status).not.toBe(0);
    write("image.minisig", text.replace("version:7", "version:8"));
    expect(verify("image").status).not.toBe(0);
    write("image.minisig", text.replace(/\n(RU[A-Za-z0-9+/]{60})./, "\n$1A"));
    expect(verify("image").status).not.toBe(0);
  });

  test("makes a key whose public half we read", () => {
    run("minisign", ["-G", "-W", "-p", "theirs.minisign", "-s", "theirs.secret"]);
    const key = readPublicKey(at("theirs.minisign"));
    expect(readFileSync(at("theirs.minisign"), "utf8")).toContain("minisign public key");
    const bytes = Buffer.from(
      readFileSync(at("theirs.minisign"), "utf8").split("\n")[1]!,
      "base64",
    );
    expect(Buffer.from(key.bytes).equals(bytes.subarray(10))).toBe(true);
    expect(() => readPublicKey(at("image.minisig"))).toThrow("public key");
  });
});

describe("@sigstore/verify", () => {
  /** Accepts or refuses a bundle by the library of npm, with the key alone. */
  const verdict = (file: Uint8Array, key = alice.publicKey): string => {
    const material: TrustMaterial = {
      certificateAuthorities: [],
      timestampAuthorities: [],
      tlogs: [],
      ctlogs: [],
      publicKey: (hint) => {
        expect(hint).toBe(alice.publicKey.id);
        return { publicKey: createPublicKey(key.toPem()), validFor: () => true };
      },
    };
    const none = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
    try {
      const bundle = bundleFromJSON(JSON.parse(new TextDecoder().decode(file)));
      new Verifier(material, none).verify(toSignedEntity(bundle));
      return "accepted";
    } catch (error) {
      return (error as Error).constructor.name;
    }
  };

  test("verifies our bundle, and no other payload, signature or key", () => {
    expect(verdict(formatBundle(envelope))).toBe("accepted");
    const [signature] = envelope.signatures;
    const payload = Uint8Array.from(envelope.payload);
    payload[payload.length - 3]! ^= 1;
    expect(verdict(formatBundle({ ...envelope, payload }))).toBe("VerificationError");
    const bytes = Uint8Array.from(signature!.bytes);
    bytes[5]! ^= 1;
    const signatures = [{ ...signature!, bytes }];
    expect(verdict(formatBundle({ ...envelope, signatures }))).toBe("VerificationError");
    expect(verdict(formatBundle(envelope), mallory.publicKey)).toBe("VerificationError");
  });
});

const python = ["python3-sid", "python3"].find((each) => {
  const path = oracle(each);
  const dsse = ["-c", "from securesystemslib.dsse import Envelope"];
  return path !== undefined && spawnSync(path, dsse).status === 0;
});
describe.skipIf(python === undefined)("securesystemslib (skipped where it is missing)", () => {
  const script = `
import json, sys
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
envelope = Envelope.from_dict({**json.load(open("both.json"))})
keys = [SSlibKey(k["id"], "ed25519", "ed25519", {"public": k["hex"]}) for k in json.load(open("keys.json"))]
print(len(envelope.verify(keys, int(sys.argv[1]))))`;

  test("verifies an envelope with two signatures, and counts keys", () => {
    const message = preAuthEncoding(envelope.payloadType, envelope.payload);
    const signatures = [alice, mallory].map(({ publicKey }, i) => ({
      keyId: publicKey.id,
      bytes: [alice, mallory][i]!.sign(message),
    }));
    const both = envelopeObject({ ...envelope, signatures });
    write("both.json", JSON.stringify(both));
    const keysOf = (keys: (typeof alice)[]) =>
      JSON.stringify(
        keys.map(({ publicKey: { id, bytes } }) => ({
          id,
          hex: Buffer.from(bytes).toString("hex"),
        })),
      );
    const verify = (threshold: number) => run(python!, ["-c", script, String(threshold)]);
    write("keys.json", keysOf([alice, mallory]));
    expect(verify(2)).toMatchObject({ status: 0, text: "2\n" });
    write("keys.json", keysOf([alice]));
    expect(verify(1)).toMatchObject({ status: 0, text: "1\n" });
    expect(verify(2).status).not.toBe(0);
    write("keys.json", keysOf([testKey(9)]));
    expect(verify(1).status).not.toBe(0);
  });

  test("refuses a changed payload, type or signature", () => {
    const keys = [
      { id: alice.publicKey.id, hex: Buffer.from(alice.publicKey.bytes).toString("hex") },
    ];
    write("keys.json", JSON.stringify(keys));
    const verify = (changed: Envelope) => {
      write("both.json", JSON.stringify(envelopeObject(changed)));
      return run(python!, ["-c", script, "1"]).status;
    };
    expect(verify(envelope)).toBe(0);
    const flipped = (bytes: Uint8Array) => bytes.with(bytes.length - 3, bytes.at(-3)! ^ 1);
    expect(verify({ ...envelope, payload: flipped(envelope.payload) })).not.toBe(0);
    expect(verify({ ...envelope, payloadType: "application/json" })).not.toBe(0);
    const signatures = envelope.signatures.map((each) => ({ ...each, bytes: flipped(each.bytes) }));
    expect(verify({ ...envelope, signatures })).not.toBe(0);
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
      expect(readPublicKey(at("signify.pub")).id).toBe(alice.publicKey.id);
      write("signify2.pub", file("mallory", mallory.publicKey.bytes));
      expect(verify("pae", "signify.pub").text).toContain("Signature Verified");
      expect(verify("changed", "signify.pub").status).not.toBe(0);
      expect(verify("pae", "signify2.pub").status).not.toBe(0);
    });
  },
);

/** The seed in an unencrypted key file of OpenSSH (PROTOCOL.key): behind the key's second copy. */
function opensshPrivateKey(text: string): PrivateKey {
  const bytes = Buffer.from(text.replace(/-----[^-]*-----|\s/g, ""), "base64");
  const mark = Buffer.from("\0\0\0\x0bssh-ed25519\0\0\0\x20", "latin1");
  const second = bytes.indexOf(mark, bytes.indexOf(mark) + 1);
  const seedAt = second + mark.length + 32 + 4;
  return new PrivateKey(new Uint8Array(bytes.subarray(seedAt, seedAt + 32)));
}
