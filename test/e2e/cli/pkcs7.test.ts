/** The command pkcs7, against fsverity and openssl. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseCertificate, verifyPkcs7, verityMessage } from "../../../src/composefs/pkcs7.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";
import { verityDigestOf } from "../../../src/verity/hasher.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { TestLayout, digestOf, layerTar } from "../../support/oci.ts";
import { oracle } from "../../support/oracle.ts";
import { runMain } from "../../support/run.ts";
import { refusal } from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";

const openssl = oracle("openssl");
const fsverity = oracle("fsverity");
const image = goldenImage("ext-basic.v1").bytes;
const digest = verityDigestOf(image);
let folder: string;
const at = (file: string) => join(folder, file);

describe.skipIf(openssl === undefined)("pkcs7 (skipped without openssl)", () => {
  beforeAll(() => {
    folder = scratchFolder();
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

  const sign = (name: string, ...more: string[]) =>
    runMain(
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
    runMain("pkcs7", "verify", at(file), "--cert", at(`${name}.pem`), "--signature", at(signature));
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
    const result = await runMain("pkcs7", "sign", at("app.img"), ...mixed);
    expect(result.err).toContain("is not the key of the certificate");
    execFileSync("chmod", ["644", at("ec.key")]);
    expect((await sign("ec")).err).toContain("lets others read it");
    execFileSync("chmod", ["600", at("ec.key")]);
    expect((await runMain("pkcs7", "verify", at("app.img"), "--cert", at("rsa.key"))).status).toBe(
      5,
    );
  });

  describe("the composefs draft's artifact", () => {
    let source: string;
    let bytes: Buffer;
    beforeAll(async () => {
      const layout = new TestLayout();
      layout.index([layout.image([await layerTar("x".repeat(100))])]);
      source = at("source");
      layout.directory(source);
      const built = await runMain("build", source, "-o", at("built.img"), "--store", at("store"));
      expect(built.status).toBe(0);
      bytes = readFileSync(at("built.img"));
    });
    afterEach(() => rmSync(at("built.img.composefs"), { recursive: true, force: true }));

    const seal = (name: string, ...more: string[]) =>
      runMain(
        "sign",
        at("built.img"),
        "--composefs-pkcs7",
        "--cert",
        at(`${name}.pem`),
        "--key",
        at(`${name}.key`),
        "--source",
        source,
        ...more,
      );
    const check = (name: string, ...more: string[]) =>
      runMain("verify", at("built.img"), "--cert", at(`${name}.pem`), ...more);
    const artifact = () => {
      const folder = at("built.img.composefs");
      const read = (path: string) => JSON.parse(readFileSync(join(folder, path), "utf8"));
      const [entry] = read("index.json").manifests;
      const blob = (digest: string) => join(folder, "blobs/sha256", digest.slice(7));
      return { entry, blob, manifest: read(`blobs/sha256/${entry.digest.slice(7)}`) };
    };

    test("has the draft's names, and signatures that openssl verifies", async () => {
      const { status, out } = await seal("rsa");
      expect(status).toBe(0);
      expect(out).toBe(verityDigestOf(bytes));
      const { entry, manifest, blob } = artifact();
      expect(entry.artifactType).toBe("application/vnd.composefs.metadata.v1");
      const [index] = JSON.parse(readFileSync(join(source, "index.json"), "utf8")).manifests;
      const sourceBlob = (digest: string) =>
        readFileSync(join(source, "blobs/sha256", digest.slice(7)));
      const manifestBytes = sourceBlob(index.digest);
      const { config } = JSON.parse(manifestBytes.toString());
      expect(manifest).toMatchObject({
        schemaVersion: 2,
        artifactType: "application/vnd.composefs.metadata.v1",
        config: {
          mediaType: "application/vnd.oci.empty.v1+json",
          digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
          size: 2,
        },
        subject: { mediaType: index.mediaType, digest: index.digest, size: index.size },
      });
      const digests = [
        ["composefs.manifest.fsverity-sha256-12", verityDigestOf(manifestBytes)],
        ["composefs.config.fsverity-sha256-12", verityDigestOf(sourceBlob(config.digest))],
        ["composefs.merged.erofs.v1.fsverity-sha256-12", verityDigestOf(bytes)],
      ] as const;
      expect(manifest.layers.map((layer: any) => [layer.mediaType, layer.annotations])).toEqual(
        digests.map(([key, digest_]) => [
          "application/vnd.composefs.signature.v1+pkcs7",
          { [key]: digest_ },
        ]),
      );
      for (const [i, [, digest_]] of digests.entries()) {
        writeFileSync(at("part"), verityMessage(digest_));
        const files = ["-in", blob(manifest.layers[i].digest), "-content", at("part")];
        const how = "smime -verify -binary -inform DER -noverify -nointern".split(" ");
        const by = (name: string) =>
          spawnSync(openssl!, [...how, ...files, "-certfile", at(`${name}.pem`)]).status;
        expect(by("rsa")).toBe(0);
        expect(by("mallory")).not.toBe(0);
      }
    });

    test.each(["rsa", "ec"])("by %s is verified with its certificate only", async (name) => {
      await seal(name);
      expect((await check(name)).out).toContain("verified    merged\n");
      expect((await check(name, "--source", source)).out).toContain("manifest, config, merged");
      expect((await check("mallory")).status).toBe(5);
      expect((await seal(name)).status).toBe(2); // nothing is overwritten
    });

    test("made of openssl's signatures is verified as well", async () => {
      await seal("rsa");
      const { manifest, blob } = artifact();
      for (const { annotations, digest: layer } of manifest.layers) {
        writeFileSync(at("part"), verityMessage(Object.values(annotations)[0] as VerityDigest));
        const how = "smime -sign -binary -noattr -nocerts -outform DER -md sha256".split(" ");
        const files = ["-in", at("part"), "-out", at("theirs")];
        const key = ["-signer", at("rsa.pem"), "-inkey", at("rsa.key")];
        expect(spawnSync(openssl!, [...how, ...files, ...key]).status).toBe(0);
        // RSA with PKCS#1 v1.5 padding has one signature for a message: the same bytes.
        expect(readFileSync(at("theirs")).equals(readFileSync(blob(layer)))).toBe(true);
      }
    });

    test("about another image, manifest or part is refused", async () => {
      await seal("rsa");
      const at_ = ["--signature", at("built.img.composefs")];
      const other = await runMain("verify", at("other.img"), "--cert", at("rsa.pem"), ...at_);
      expect(other).toMatchObject({ status: 5 });
      expect(other.err).toContain("merged: signed was");
      const layout = new TestLayout();
      layout.index([layout.image([await layerTar("y".repeat(100))])]);
      layout.directory(at("source2"));
      expect((await check("rsa", "--source", at("source2"))).status).toBe(5);
      rmSync(at("source2"), { recursive: true });
    });

    test("is read strictly", async () => {
      const changed = async (change: (manifest: any, index: any) => void) => {
        await seal("rsa");
        const { manifest, entry, blob } = artifact();
        rmSync(blob(entry.digest));
        const index = JSON.parse(readFileSync(at("built.img.composefs/index.json"), "utf8"));
        change(manifest, index);
        const text = Buffer.from(JSON.stringify(manifest));
        index.manifests[0].digest = digestOf(text);
        index.manifests[0].size = text.length;
        writeFileSync(blob(digestOf(text)), text);
        writeFileSync(at("built.img.composefs/index.json"), JSON.stringify(index));
        const { status } = await check("rsa");
        rmSync(at("built.img.composefs"), { recursive: true });
        return status;
      };
      expect(await changed(() => {})).toBe(0);
      expect(await changed((m) => (m.artifactType = "other"))).toBe(3);
      expect(await changed((m) => m.layers.push(m.layers[2]))).toBe(3);
      expect(await changed((m) => m.layers.shift())).toBe(5);
      expect(await changed((m) => (m.layers[0].annotations.more = "x"))).toBe(3);
      expect(await changed((m) => (m.layers[0].mediaType = "x/y"))).toBe(3);
      expect(await changed((_, index) => index.manifests.push(index.manifests[0]))).toBe(3);
      const swapped = (m: any) => {
        const [a, b] = [m.layers[0].annotations, m.layers[2].annotations];
        const [ka, kb] = [Object.keys(a)[0]!, Object.keys(b)[0]!];
        m.layers[0].annotations = { [kb]: a[ka] };
        m.layers[2].annotations = { [ka]: b[kb] };
      };
      expect(await changed(swapped)).toBe(5);
    });

    test("asks for what it needs, and takes nothing that it has no place for", async () => {
      const cert = ["--cert", at("rsa.pem")];
      expect((await runMain("sign", at("built.img"), ...cert)).status).toBe(2);
      expect((await runMain("sign", at("built.img"), "--composefs-pkcs7", ...cert)).status).toBe(2);
      expect((await seal("rsa", "--name", "app:1")).status).toBe(2);
      expect((await seal("rsa", "--expires", "1d")).status).toBe(2);
      await seal("rsa");
      expect((await check("rsa", "--key", at("rsa.pem"))).status).toBe(2);
      expect((await check("rsa", "--name", "app:1")).status).toBe(2);
      expect((await runMain("verify", at("built.img"), "--source", source)).status).toBe(2);
    });
  });
});
