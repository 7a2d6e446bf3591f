/** Whom TLS connections trust, and what they show, with real servers and certificates of openssl. */
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TlsOptions } from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { NetworkError, SealfsError } from "../../../src/errors.ts";
import { readAuthorities, systemAuthorities } from "../../../src/http/authorities.ts";
import { HttpClient, type HttpClientOptions } from "../../../src/http/client.ts";
import { limits } from "../../../src/limits.ts";
import { Registry } from "../../../src/oci/registry/registry.ts";
import { type Certificate, TestAuthority, hasOpenssl } from "../../support/certificates.ts";
import { answerWith, rawServer } from "../../support/raw-server.ts";
import { scratchFolder } from "../../support/scratch.ts";

const content = "what the server has";

async function request(url: URL, options: HttpClientOptions): Promise<string | SealfsError> {
  const environment = { HOME: scratchFolder(), ...options.environment };
  try {
    const client = new HttpClient({ headersMs: 600_000, ...options, environment });
    onTestFinished(() => client.close());
    const chunks: Uint8Array[] = [];
    const { body } = await client.get(url, { expectedSize: content.length });
    for await (const chunk of body) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  } catch (error) {
    if (error instanceof SealfsError) return error;
    throw error;
  }
}

/** The body, or the code of the error. */
const outcome = async (url: URL, options: HttpClientOptions): Promise<string> => {
  const result = await request(url, options);
  return typeof result === "string" ? result : result.code;
};

/** The port of OpenSSL's own server, which wants a certificate of the authority. */
async function opensslServer({ folder }: TestAuthority, version: string): Promise<number> {
  const options = "-accept 127.0.0.1:0 -cert server.pem -key server.key -CAfile ca.pem -www";
  const verifying = ["-Verify", "1", "-verify_return_error", version];
  const child = spawn("openssl", ["s_server", ...options.split(" "), ...verifying], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  onTestFinished(() => void child.kill());
  let said = "";
  for await (const chunk of child.stdout) {
    said += String(chunk);
    const [, port] = /ACCEPT .*:(\d+)/.exec(said) ?? [];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`openssl s_server: ${said}`);
}

describe.skipIf(!hasOpenssl)("TLS", () => {
  let authority: TestAuthority;
  let other: TestAuthority;
  let server: Certificate;
  beforeAll(() => {
    authority = new TestAuthority();
    other = new TestAuthority();
    server = authority.issue("server", "DNS:localhost,DNS:registry-1.docker.io");
  });

  const start = (tls: TlsOptions = {}, answer = answerWith(content)) =>
    rawServer(answer, { tls: { ...server, ...tls } });

  describe("the authorities", () => {
    test("of SSL_CERT_FILE are trusted, in place of the system's bundle", async () => {
      const { url } = await start();
      const of = (environment: Record<string, string>) => outcome(url, { environment });
      expect(await of({})).toBe("TLS");
      expect(await of({ SSL_CERT_FILE: authority.caFile })).toBe(content);
      expect(await of({ SSL_CERT_FILE: other.caFile })).toBe("TLS");
      const empty = scratchFolder();
      const only = systemAuthorities({ SSL_CERT_FILE: authority.caFile, SSL_CERT_DIR: empty });
      expect(only).toHaveLength(1);
    });

    test("of SSL_CERT_DIR are trusted: every file of every directory, whatever its name", async () => {
      const { url } = await start();
      const [first, second] = [scratchFolder(), scratchFolder()];
      const of = (directories: string) =>
        outcome(url, { environment: { SSL_CERT_DIR: directories } });
      writeFileSync(join(first, "other.crt"), readFileSync(other.caFile));
      writeFileSync(join(first, "broken.pem"), "-----BEGIN CERTIFICATE-----\nx\n");
      mkdirSync(join(first, "folder"));
      expect(await of(`${first}:${second}`)).toBe("TLS");
      writeFileSync(join(second, "corp"), readFileSync(authority.caFile));
      expect(await of(`${first}:${second}`)).toBe(content);
      expect(await of(`/nowhere:${second}`)).toBe(content);
    });

    test("of NODE_EXTRA_CA_CERTS are trusted, also beside a CA file", async () => {
      const { url } = await start();
      const environment = { NODE_EXTRA_CA_CERTS: authority.caFile };
      expect(await outcome(url, { environment })).toBe(content);
      expect(await outcome(url, { environment, caFile: other.caFile })).toBe(content);
    });

    test("of the system are trusted beside a CA file", async () => {
      const { url } = await start();
      const environment = { SSL_CERT_FILE: authority.caFile };
      expect(await outcome(url, { environment, caFile: other.caFile })).toBe(content);
      expect(await outcome(url, { environment: {}, caFile: other.caFile })).toBe("TLS");
    });

    test("Node's own stand in only where the system has none, and nothing was named", () => {
      const nothing = { SSL_CERT_FILE: "/nowhere", SSL_CERT_DIR: "/nowhere" };
      expect(systemAuthorities(nothing)).toEqual([]);
      expect(systemAuthorities({}).length).toBeGreaterThan(10);
    });

    test("may be in the middle of a chain, as Go and curl take them", async () => {
      const middle = authority.intermediate();
      const { url } = await start(middle.issue("DNS:localhost"));
      expect(await outcome(url, { caFile: middle.caFile })).toBe(content);
    });

    test("of a file come in a bundle with words between, with CRLF, or in DER", async () => {
      const { url } = await start();
      const path = join(scratchFolder(), "ca");
      const [mine, others] = [authority, other].map(({ caFile }) => readFileSync(caFile, "utf8"));
      for (const text of [
        `# Corp\n${others}\n# second\n${mine}`,
        mine!.replaceAll("\n", "\r\n"),
        authority.der(),
      ]) {
        writeFileSync(path, text);
        expect(await outcome(url, { caFile: path })).toBe(content);
      }
    });

    test.each([
      ["has none", "hello\n", "MALFORMED"],
      ["is empty", "", "MALFORMED"],
      [
        "has a broken one",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "MALFORMED",
      ],
    ])("a CA file that %s is refused by name", async (_, text, code) => {
      const path = join(scratchFolder(), "ca.pem");
      writeFileSync(path, text);
      const error = await request(new URL("https://localhost:1/"), { caFile: path });
      expect(error).toMatchObject({ code });
      expect((error as Error).message).toContain(`CA file ${path}`);
    });

    test("a file up to its limit is read, a longer one is refused", () => {
      const path = join(scratchFolder(), "ca.pem");
      const pem = readFileSync(authority.caFile);
      const pad = (bytes: number) =>
        writeFileSync(path, Buffer.concat([pem, Buffer.alloc(bytes - pem.length, "\n")]));
      pad(limits.certificatesBytes);
      expect(readAuthorities(path, "x")).toHaveLength(1);
      pad(limits.certificatesBytes + 1);
      expect(() => readAuthorities(path, "x")).toThrow(
        expect.objectContaining({ code: "LIMIT" }) as Error,
      );
    });
  });

  describe("certs.d", () => {
    /** A home with files for a host. */
    function home(host: string, files: Record<string, string | Buffer>): { HOME: string } {
      const folder = scratchFolder();
      const directory = join(folder, ".config/containers/certs.d", host);
      mkdirSync(directory, { recursive: true });
      for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
      return { HOME: folder };
    }
    const ca = () => readFileSync(authority.caFile);

    test("an authority of a host is trusted for that host and port alone", async () => {
      const { url, port } = await start();
      const of = (host: string) => outcome(url, { environment: home(host, { "ca.crt": ca() }) });
      expect(await of(`localhost:${port}`)).toBe(content);
      expect(await of("localhost")).toBe("TLS");
      expect(await of(`localhost:${port + 1}`)).toBe("TLS");
      const ignored = home(`localhost:${port}`, { "ca.pem": ca(), README: "x" });
      expect(await outcome(url, { environment: ignored })).toBe("TLS");
    });

    test.each(["TLSv1.2", "TLSv1.3"] as const)(
      "a client certificate is shown to a server that demands one: %s",
      async (version) => {
        const client = authority.issue("client", "DNS:client");
        const mutual = { requestCert: true, ca: ca(), maxVersion: version };
        const { url, port } = await start(mutual);
        const host = `localhost:${port}`;
        const files = { "ca.crt": ca(), "me.cert": client.cert, "me.key": client.key };
        expect(await outcome(url, { environment: home(host, files) })).toBe(content);
      },
    );

    test.each(["TLSv1.2", "TLSv1.3"] as const)(
      "a server that demands a client certificate is told as such: %s",
      async (version) => {
        const { url, port } = await start({ requestCert: true, ca: ca(), maxVersion: version });
        const error = (await request(url, { caFile: authority.caFile })) as NetworkError;
        expect(error).toBeInstanceOf(NetworkError);
        expect(error.code).toBe("TLS");
        expect(error.message).toContain("demands a client certificate");
        expect(error.hint).toContain(`certs.d/localhost:${port}/`);
      },
    );

    test.each(["TLSv1.2", "TLSv1.3"] as const)(
      "a client certificate that the server does not take is told as such: %s",
      async (version) => {
        const client = other.issue("client", "DNS:client");
        const port = await opensslServer(authority, version === "TLSv1.2" ? "-tls1_2" : "-tls1_3");
        const url = new URL(`https://localhost:${port}/`);
        const files = { "ca.crt": ca(), "me.cert": client.cert, "me.key": client.key };
        const environment = home(`localhost:${port}`, files);
        const error = await request(url, { environment });
        expect((error as Error).message).toContain("refuses the client certificate");
      },
    );

    test("nginx's page for clients without a certificate is understood", async () => {
      const page =
        "<html><head><title>400 No required SSL certificate was sent</title></head></html>";
      const type = { "Content-Type": "text/html" };
      const { url } = await start({}, answerWith(page, type, "400 Bad Request"));
      const error = (await request(url, { caFile: authority.caFile })) as NetworkError;
      expect(error).toMatchObject({ code: "TLS" });
      expect(error.message).toContain("demands a client certificate");
      const page2 = await start({}, answerWith("<html>no</html>", type, "400 Bad Request"));
      expect(await request(page2.url, { caFile: authority.caFile })).toMatchObject({
        code: "STATUS",
        status: 400,
      });
    });

    test.each([
      ["a key without its certificate", { "me.key": "x" }, "expected me.cert beside it"],
      ["a certificate without its key", { "me.cert": "x" }, "expected me.key beside it"],
      ["an authority that is none", { "ca.crt": "x" }, "expected certificates in PEM"],
      [
        "a certificate that is none",
        { "me.cert": "x", "me.key": "y" },
        "expected a certificate and",
      ],
    ])("%s is refused by name", async (_, files, message) => {
      const { url, port } = await start();
      const environment = home(`localhost:${port}`, files);
      const error = await request(url, { environment, caFile: authority.caFile });
      expect((error as Error).message).toContain(message);
      expect((error as Error).message).toContain(environment.HOME);
    });

    test("a certificate of ours is read up to its limit", async () => {
      const files = { "me.cert": "x".padEnd(limits.certificatesBytes + 1), "me.key": "y" };
      const { url, port } = await start();
      const environment = home(`localhost:${port}`, files);
      const error = await request(url, { environment, caFile: authority.caFile });
      expect((error as Error).message).toContain(`at most ${limits.certificatesBytes} bytes`);
    });

    test("the authority of a registry is trusted for where it sends us; our certificate stays", async () => {
      const elsewhere = await start();
      const redirect = answerWith("", { Location: elsewhere.url.href }, "302 Found");
      const first = await start({}, redirect);
      const host = `localhost:${first.port}`;
      const environment = home(host, { "ca.crt": ca() });
      expect(await outcome(first.url, { environment })).toBe("TLS");
      const registry = { name: host, host };
      expect(await outcome(first.url, { environment, registry })).toBe(content);
      const client = authority.issue("client", "DNS:client");
      const mutual = await start({ requestCert: true, ca: ca() });
      const away = await start({}, answerWith("", { Location: mutual.url.href }, "302 Found"));
      const name = `localhost:${away.port}`;
      const files = { "ca.crt": ca(), "me.cert": client.cert, "me.key": client.key };
      const error = await request(away.url, {
        environment: home(name, files),
        registry: { name, host: name },
      });
      expect((error as Error).message).toContain("demands a client certificate");
    });

    test("Docker Hub's lie under docker.io", async () => {
      const { port } = await start();
      const resolve = async () => [{ address: "127.0.0.1", family: 4 }];
      const url = new URL(`https://registry-1.docker.io:${port}/`);
      const registry = { name: "docker.io", host: `registry-1.docker.io:${port}` };
      const environment = home("docker.io", { "ca.crt": ca() });
      expect(await outcome(url, { environment, registry, resolve })).toBe(content);
    });

    test.skipIf(process.getuid?.() === 0)(
      "a directory that may not be read is passed over",
      async () => {
        const { url, port } = await start();
        const environment = home(`localhost:${port}`, { "ca.crt": ca() });
        chmodSync(join(environment.HOME, ".config/containers/certs.d", `localhost:${port}`), 0);
        expect(await outcome(url, { environment })).toBe("TLS");
      },
    );
  });

  test("a registry of this machine that demands a certificate is not asked without TLS", async () => {
    const server = await start({ requestCert: true, ca: readFileSync(authority.caFile) });
    const registry = new Registry(
      { host: `localhost:${server.port}`, repository: "a" },
      { caFile: authority.caFile },
    );
    onTestFinished(() => registry.close());
    await expect(registry.manifest("1")).rejects.toThrow(/demands a client certificate/);
  });
});
