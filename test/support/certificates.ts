/**
 * Certificates for tests, made by openssl.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { succeeds } from "./run.ts";
import { scratchFolder } from "./scratch.ts";

export const hasOpenssl = succeeds("openssl", "version");

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certification authority. */
export class TestAuthority {
  readonly folder = scratchFolder();
  /** The authority's own certificate. */
  readonly caFile = join(this.folder, "ca.pem");

  constructor() {
    this.#openssl(
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=test",
    );
  }

  /** An authority below this one: its certificate alone, and what it issues. */
  intermediate(): { readonly caFile: string; issue(altNames: string): Certificate } {
    writeFileSync(join(this.folder, "mid.ext"), "basicConstraints=critical,CA:TRUE\n");
    this.#openssl(
      "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout mid.key -out mid.csr -subj /CN=mid",
    );
    this.#openssl(
      "x509 -req -in mid.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile mid.ext -out mid.pem",
    );
    return {
      caFile: join(this.folder, "mid.pem"),
      issue: (altNames) => this.issue("below", altNames, { signer: "mid" }),
    };
  }

  /** The authority's own certificate in DER. */
  der(): Buffer {
    this.#openssl("x509 -in ca.pem -outform DER -out ca.der");
    return readFileSync(join(this.folder, "ca.der"));
  }

  /** A certificate for names, such as `DNS:localhost`; `days` may lie in the past. */
  issue(
    name: string,
    altNames: string,
    { days = 30, selfSigned = false, signer: by = "ca" } = {},
  ): Certificate {
    writeFileSync(join(this.folder, `${name}.ext`), `subjectAltName=${altNames}\n`);
    this.#openssl(
      `req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`,
    );
    const signer = selfSigned
      ? `-signkey ${name}.key`
      : `-CA ${by}.pem -CAkey ${by}.key -CAcreateserial`;
    this.#openssl(
      `x509 -req -in ${name}.csr ${signer} -days ${days} -extfile ${name}.ext -out ${name}.pem`,
    );
    const read = (file: string) => readFileSync(join(this.folder, file), "utf8");
    return { cert: read(`${name}.pem`), key: read(`${name}.key`) };
  }

  #openssl(command: string): void {
    execFileSync("openssl", command.split(" "), { cwd: this.folder, stdio: "pipe" });
  }
}
