/**
 * A TUF repository in a folder, whose keeper may also be a thief, or careless.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { PrivateKey } from "../../src/trust/private-key.ts";
import { testKey, utf8 } from "./trust.ts";

export type RoleName = "root" | "timestamp" | "snapshot" | "targets";
const roleNames: readonly RoleName[] = ["root", "timestamp", "snapshot", "targets"];

/** Canonical JSON, as TUF signs it. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(",")}}`;
}

const tufKey = (key: PrivateKey) => ({
  keytype: "ed25519",
  scheme: "ed25519",
  keyval: { public: Buffer.from(key.publicKey.bytes).toString("hex") },
});
export const keyId = (key: PrivateKey) => sha256(utf8(canonical(tufKey(key))));
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

export class TufRepository {
  readonly folder: string;
  /** Who signs each role, and how many must. */
  readonly signers: Record<RoleName, PrivateKey[]> = {
    root: [testKey(20)],
    timestamp: [testKey(21)],
    snapshot: [testKey(22)],
    targets: [testKey(23)],
  };
  readonly thresholds: Record<RoleName, number> = {
    root: 1,
    timestamp: 1,
    snapshot: 1,
    targets: 1,
  };
  readonly versions: Record<RoleName, number> = { root: 0, timestamp: 0, snapshot: 0, targets: 0 };
  readonly expires: Record<RoleName, string> = {
    root: "2027-01-01T00:00:00Z",
    timestamp: "2026-10-08T00:00:00Z",
    snapshot: "2027-01-01T00:00:00Z",
    targets: "2027-01-01T00:00:00Z",
  };
  readonly targets = new Map<string, Uint8Array>();
  /** Delegated roles, as `signed.delegations` of targets has them. */
  delegations: object | undefined;

  constructor(folder: string) {
    this.folder = folder;
    this.publish("root", "targets", "snapshot", "timestamp");
  }

  /** The first root. */
  get root(): string {
    return join(this.folder, "metadata/1.root.json");
  }

  add(path: string, bytes: Uint8Array): this {
    this.targets.set(path, bytes);
    this.publish("targets", "snapshot", "timestamp");
    return this;
  }

  remove(path: string): this {
    this.targets.delete(path);
    this.publish("targets", "snapshot", "timestamp");
    return this;
  }

  /** Writes the next version of roles, in this order. */
  publish(...roles: RoleName[]): void {
    for (const role of roles) {
      this.versions[role]++;
      this.write(role, this.signed(role));
    }
    for (const [path, bytes] of this.targets) {
      const at = join(this.folder, "targets", dirname(path));
      mkdirSync(at, { recursive: true });
      writeFileSync(join(at, `${sha256(bytes)}.${path.split("/").at(-1)}`), bytes);
    }
  }

  /** What the current version of a role says. */
  signed(role: RoleName): any {
    const { expires, versions } = this;
    const head = {
      _type: role,
      spec_version: "1.0.31",
      version: versions[role],
      expires: expires[role],
    };
    if (role === "root") {
      const keys = Object.values(this.signers).flat();
      return {
        ...head,
        consistent_snapshot: true,
        keys: Object.fromEntries(keys.map((key) => [keyId(key), tufKey(key)])),
        roles: Object.fromEntries(
          roleNames.map((each) => [
            each,
            { keyids: this.signers[each].map(keyId), threshold: this.thresholds[each] },
          ]),
        ),
      };
    }
    if (role === "timestamp") {
      return { ...head, meta: { "snapshot.json": { version: versions.snapshot } } };
    }
    if (role === "snapshot") {
      return { ...head, meta: { "targets.json": { version: versions.targets } } };
    }
    const targets = [...this.targets].map(([path, bytes]) => [
      path,
      { length: bytes.length, hashes: { sha256: sha256(bytes) } },
    ]);
    return {
      ...head,
      targets: Object.fromEntries(targets),
      ...(this.delegations && { delegations: this.delegations }),
    };
  }

  /** Signs anything and puts it where the role's current version lies. */
  write(role: RoleName, signed: any, keys: readonly PrivateKey[] = this.signers[role]): void {
    const signatures = keys.map((key) => ({
      keyid: keyId(key),
      sig: Buffer.from(key.sign(utf8(canonical(signed)))).toString("hex"),
    }));
    this.put(role, JSON.stringify({ signed, signatures }));
  }

  /** Puts any text there. */
  put(role: RoleName, text: string): void {
    mkdirSync(join(this.folder, "metadata"), { recursive: true });
    writeFileSync(this.path(role), text);
  }

  path(role: RoleName): string {
    const name = role === "timestamp" ? "timestamp.json" : `${this.versions[role]}.${role}.json`;
    return join(this.folder, "metadata", name);
  }

  hide(role: RoleName): void {
    rmSync(this.path(role));
  }
}
