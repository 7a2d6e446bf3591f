/** Freshness by a TUF repository: what it proves, and every way in which it may lie. */
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { chmodSync, existsSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SealfsError, UsageError } from "../../../src/errors.ts";
import { exportImage } from "../../../src/archive/export.ts";
import { importImage } from "../../../src/archive/import.ts";
import { openCurrent, openVerified } from "../../../src/verify/locate.ts";
import { signImage } from "../../../src/sign/sign-image.ts";
import { TrustState } from "../../../src/verify/trust-state.ts";
import { limits } from "../../../src/limits.ts";
import { openNamedImage } from "../../../src/mount/named-image.ts";
import { Store } from "../../../src/store/store.ts";
import { Stores } from "../../../src/store/stores.ts";
import { TrustPolicy } from "../../../src/trust/policy.ts";
import { openListing, targetPaths } from "../../../src/tuf/listing.ts";
import { checkMetadata } from "../../../src/tuf/metadata.ts";
import { lower } from "../../support/limits.ts";
import { goldenImage } from "../../support/golden-images.ts";
import { runMain } from "../../support/run.ts";
import { publish } from "../../support/store.ts";
import { alice, keyring, mallory, name, now, refusal, testKey, utf8 } from "../../support/trust.ts";
import { openPlace } from "../../../src/tuf/place.ts";
import { updateRepository } from "../../../src/tuf/update.ts";
import { TufRepository, canonical, keyId } from "../../support/tuf.ts";
import { scratchFolder } from "../../support/scratch.ts";

const image = goldenImage("ext-basic.v1").bytes;
const other = goldenImage("ext-1-byte.v1").bytes;
const created = new Date("2026-09-01T00:00:00Z");
const expires = new Date("2027-09-01T00:00:00Z");
const bundleOf = (bytes: Uint8Array, version: number, key = alice, as = name) =>
  signImage(bytes, { name: as, key, version, created, expires }).bundle;

let folder: string;
let repository: TufRepository;
let state: TrustState | undefined;
const at = (file: string) => join(folder, file);
const target = `${name}.bundle.json`;

beforeEach(() => {
  folder = scratchFolder();
  state = new TrustState(at("state"));
  repository = new TufRepository(at("repository")).add(target, bundleOf(image, 7));
  writeFileSync(at("app"), image);
  writeFileSync(at("other"), other);
});

const openAt = (file: string, time = now, place = at("repository"), root = repository.root) => {
  const listing = openListing({ tuf: place, tufRoot: root }, state, time);
  const trust = TrustPolicy.ofKeyring(keyring).withListing(listing);
  return openCurrent(at(file), {}, { trust, state, name, now: time });
};
const verdict = async (...args: Parameters<typeof openAt>) => {
  try {
    await openAt(...args);
    return "accepted";
  } catch (error) {
    if (error instanceof SealfsError) return error.code;
    throw error;
  }
};
const kept = (role: string) => {
  const [id] = readdirSync(at("state/tuf"));
  return JSON.parse(readFileSync(at(`state/tuf/${id}/${role}.json`), "utf8")).signed.version;
};

/** Roles that are asked one after the other, of which only the last lists the target. */
function delegateTo(roles: readonly string[], bundle: Uint8Array): void {
  const delegate = testKey(30);
  repository.targets.set(target, bundle);
  const listing = repository.signed("targets");
  repository.targets.delete(target);
  const key = {
    keytype: "ed25519",
    scheme: "ed25519",
    keyval: { public: Buffer.from(delegate.publicKey.bytes).toString("hex") },
  };
  repository.delegations = {
    keys: { [keyId(delegate)]: key },
    roles: roles.map((role) => ({
      name: role,
      keyids: [keyId(delegate)],
      threshold: 1,
      terminating: false,
      paths: ["registry.example/*"],
    })),
  };
  repository.publish("targets");
  repository.versions.snapshot++;
  const snapshot = repository.signed("snapshot");
  for (const [number, role] of roles.entries()) {
    snapshot.meta[`${role}.json`] = { version: 1 };
    const isLast = number === roles.length - 1;
    const signed = { ...listing, version: 1, ...(isLast ? {} : { targets: {} }) };
    delete signed.delegations;
    const sig = Buffer.from(delegate.sign(utf8(canonical(signed)))).toString("hex");
    const file = JSON.stringify({ signed, signatures: [{ keyid: keyId(delegate), sig }] });
    writeFileSync(at(`repository/metadata/1.${role}.json`), file);
  }
  repository.write("snapshot", snapshot);
  repository.publish("timestamp");
}

describe("the listed image", () => {
  test("is accepted, and no other, though a trusted key has signed it", async () => {
    expect(await verdict("app")).toBe("accepted");
    writeFileSync(at("other.bundle.json"), bundleOf(other, 8));
    expect(await verdict("other")).toBe("NOT_CURRENT");
    repository.add(target, bundleOf(other, 8));
    expect(await verdict("app")).toBe("NOT_CURRENT");
    expect(await verdict("other")).toBe("accepted");
  });

  test("still has to be signed by a trusted key, and not to go back", async () => {
    repository.add(target, bundleOf(image, 9, mallory));
    expect(await verdict("app")).toBe("UNTRUSTED_KEY");
    repository.add(target, bundleOf(image, 9));
    expect(await verdict("app")).toBe("accepted");
    repository.add(target, bundleOf(other, 8));
    expect(await verdict("other")).toBe("ROLLBACK");
    repository.add(target, bundleOf(image, 9, alice, "registry.example/app:2"));
    expect(await verdict("app")).toBe("WRONG_NAME");
  });

  test("may be signed by several, in an envelope of its own", async () => {
    repository.remove(target);
    expect(await verdict("app")).toBe("NOT_LISTED");
    repository.add(`${name}.dsse.json`, bundleOf(image, 7));
    expect(await verdict("app")).toBe("accepted");
  });

  test.each([
    ["team/a", "team%2Fa"],
    ["../team", "..%2Fteam"],
  ])(
    "may be listed by a role to which targets delegates its names (%s)",
    async (delegated, quoted) => {
      const delegate = testKey(30);
      const signed = repository.signed("targets");
      const keys = {
        [keyId(delegate)]: {
          keytype: "ed25519",
          scheme: "ed25519",
          keyval: { public: Buffer.from(delegate.publicKey.bytes).toString("hex") },
        },
      };
      repository.targets.delete(target);
      repository.delegations = {
        keys,
        roles: [
          {
            name: delegated,
            keyids: [keyId(delegate)],
            threshold: 1,
            terminating: true,
            paths: ["registry.example/*"],
          },
        ],
      };
      repository.publish("targets");
      repository.versions.snapshot++;
      const snapshot = repository.signed("snapshot");
      snapshot.meta[`${delegated}.json`] = { version: 1 };
      repository.write("snapshot", snapshot);
      repository.publish("timestamp");
      const role = { ...signed, version: 1 };
      const sig = Buffer.from(delegate.sign(utf8(canonical(role)))).toString("hex");
      const file = JSON.stringify({ signed: role, signatures: [{ keyid: keyId(delegate), sig }] });
      writeFileSync(at(`repository/metadata/1.${quoted}.json`), file);
      // What was seen of the role is remembered, also when what was looked for is not there.
      const place = openPlace(at("repository"));
      const asked = updateRepository(
        { place, folder: at("memory"), root: readFileSync(repository.root) },
        now,
        async (opened) => {
          if ((await opened.target("registry.example/none")) === undefined)
            throw new Error("not listed");
        },
      );
      await expect(asked).rejects.toThrow("not listed");
      expect(readdirSync(at("memory"))).toContain(`${quoted}.json`);
      expect(await verdict("app")).toBe("accepted");
      const forged = {
        signed: role,
        signatures: [{ keyid: keyId(delegate), sig: "00".repeat(64) }],
      };
      writeFileSync(at(`repository/metadata/1.${quoted}.json`), JSON.stringify(forged));
      rmSync(at("state"), { recursive: true });
      expect(await verdict("app")).toBe("BAD_TUF");
    },
  );

  test("is not taken from bundles that lie about, by any command", async () => {
    writeFileSync(at("app.bundle.json"), bundleOf(image, 7));
    const listing = openListing({ tuf: at("repository"), tufRoot: repository.root }, state, now);
    const trust = TrustPolicy.ofKeyring(keyring).withListing(listing);
    expect(refusal(() => openVerified(at("app"), {}, { trust, name, now }))).toBe("NOT_LISTED");
  });
});

describe("the repository", () => {
  test("proves nothing once its timestamp, snapshot, targets or root has expired", async () => {
    expect(await verdict("app", new Date("2026-10-07T23:59:59Z"))).toBe("accepted");
    expect(await verdict("app", new Date("2026-10-08T00:00:00Z"))).toBe("TUF_EXPIRED");
    for (const role of ["snapshot", "targets", "root"] as const) {
      rmSync(at("state"), { recursive: true, force: true });
      repository.expires[role] = "2026-09-30T00:00:00Z";
      repository.publish("root", "targets", "snapshot", "timestamp");
      expect(await verdict("app"), role).toBe("TUF_EXPIRED");
      repository.expires[role] = "2027-01-01T00:00:00Z";
    }
  });

  test.each(["timestamp", "snapshot", "targets"] as const)(
    "is refused when its %s goes back",
    async (role) => {
      repository.publish("targets", "snapshot", "timestamp");
      expect(await verdict("app")).toBe("accepted");
      const seen = kept("timestamp");
      repository.versions[role] -= 2;
      // Whatever stands above the role in the chain is signed anew.
      const above = { timestamp: [], snapshot: ["timestamp"], targets: ["snapshot", "timestamp"] };
      repository.publish(role, ...(above[role] as ("snapshot" | "timestamp")[]));
      expect(await verdict("app")).toBe("TUF_ROLLBACK");
      expect(kept("timestamp")).toBeGreaterThanOrEqual(seen);
    },
  );

  test("is refused with metadata that does not belong together", async () => {
    const copy = at("old");
    cpSync(at("repository"), copy, { recursive: true });
    repository.publish("targets", "snapshot", "timestamp");
    // A snapshot of before under the number of the new one.
    cpSync(join(copy, "metadata/2.snapshot.json"), repository.path("snapshot"));
    expect(await verdict("app")).toBe("TUF_ROLLBACK");
    repository.publish("targets", "snapshot", "timestamp");
    cpSync(join(copy, "metadata/2.targets.json"), repository.path("targets"));
    expect(await verdict("app")).toBe("TUF_ROLLBACK");
  });

  test("is refused when something is missing that it lists", async () => {
    for (const role of ["timestamp", "snapshot", "targets"] as const) {
      repository.publish("targets", "snapshot", "timestamp");
      repository.hide(role);
      expect(await verdict("app"), role).toBe("BAD_RESPONSE");
    }
    repository.publish("targets", "snapshot", "timestamp");
    rmSync(at("repository/targets"), { recursive: true });
    expect(await verdict("app")).toBe("BAD_RESPONSE");
    expect(await verdict("app", now, at("nowhere"))).toBe("BAD_RESPONSE");
  });

  test.each(["timestamp", "snapshot", "targets"] as const)(
    "is refused with a %s by another key",
    async (role) => {
      repository.publish("targets", "snapshot", "timestamp");
      repository.write(role, repository.signed(role), [mallory]);
      expect(await verdict("app")).toBe("BAD_TUF");
    },
  );

  test("is refused with another root than the one that was given", async () => {
    const thief = new TufRepository(at("thief"));
    thief.signers.root = [mallory];
    thief.signers.timestamp = [mallory];
    thief.publish("root");
    expect(await verdict("app", now, at("repository"), thief.path("root"))).toBe("BAD_TUF");
    expect(await verdict("app", now, at("thief"))).toBe("BAD_TUF");
    expect(await verdict("app", now, at("repository"), at("app"))).toBe("BAD_TUF");
    writeFileSync(
      at("unsigned"),
      JSON.stringify({ signed: repository.signed("root"), signatures: [] }),
    );
    expect(await verdict("app", now, at("repository"), at("unsigned"))).toBe("BAD_TUF");
  });

  test("changes its keys when the old root's keys and the new one's agree", async () => {
    expect(await verdict("app")).toBe("accepted");
    const [old, next] = [repository.signers.root, [testKey(40)]];
    repository.versions.root++;
    repository.signers.root = next;
    const signed = repository.signed("root");
    for (const keys of [old, next]) {
      repository.write("root", signed, keys);
      expect(await verdict("app")).toBe("BAD_TUF");
    }
    repository.write("root", signed, [...old, ...next]);
    expect(await verdict("app")).toBe("accepted");
    expect(kept("root")).toBe(2);
  });

  test("lets a client recover from a thief who published the highest version", async () => {
    repository.versions.timestamp = Number.MAX_SAFE_INTEGER - 1;
    repository.publish("timestamp");
    expect(await verdict("app")).toBe("accepted");
    repository.versions.timestamp = 9;
    repository.publish("timestamp");
    expect(await verdict("app")).toBe("TUF_ROLLBACK");
    repository.signers.timestamp = [testKey(41)];
    repository.signers.snapshot = [testKey(42)];
    repository.publish("root", "snapshot", "timestamp");
    expect(await verdict("app")).toBe("accepted");
  });

  test("counts keys, not signatures: one key under two ids does not make two", async () => {
    repository.thresholds.timestamp = 2;
    repository.signers.timestamp = [testKey(21), testKey(50)];
    repository.publish("root", "timestamp");
    expect(await verdict("app")).toBe("accepted");
    const root = repository.signed("root");
    const [first, second] = root.roles.timestamp.keyids;
    root.keys[second] = root.keys[first];
    root.version = ++repository.versions.root;
    repository.write("root", root);
    repository.versions.timestamp++;
    const signed = repository.signed("timestamp");
    const sig = Buffer.from(testKey(21).sign(utf8(canonical(signed)))).toString("hex");
    const signatures = [first, second].map((keyid) => ({ keyid, sig }));
    repository.put("timestamp", JSON.stringify({ signed, signatures }));
    expect(await verdict("app")).toBe("BAD_TUF");
  });

  test.each([0, -1, "1", null, 1.5])("with a threshold of %j is refused", async (threshold) => {
    const root = repository.signed("root");
    root.roles.timestamp.threshold = threshold;
    root.version = ++repository.versions.root;
    repository.write("root", root);
    repository.versions.timestamp++;
    repository.write("timestamp", repository.signed("timestamp"), []);
    expect(await verdict("app")).toBe("BAD_TUF");
  });

  test("as long as it may be is read", async () => {
    const text = readFileSync(repository.path("timestamp"), "utf8");
    repository.put("timestamp", text.padEnd(limits.tufTimestampBytes));
    expect(await verdict("app")).toBe("accepted");
    repository.put("timestamp", text.padEnd(limits.tufTimestampBytes + 1));
    expect(await verdict("app")).toBe("WRONG_SIZE");
  });

  test("new roots are followed at once up to the limit", async () => {
    lower("tufRootRotations", 3);
    for (let i = 0; i < limits.tufRootRotations; i++) repository.publish("root");
    await verdict("app");
    expect(kept("root")).toBe(1 + limits.tufRootRotations);
    for (let i = 0; i <= limits.tufRootRotations; i++) repository.publish("root");
    await verdict("app");
    expect(kept("root")).toBe(1 + 2 * limits.tufRootRotations);
  });

  test("delegated roles are searched up to the limit", async () => {
    lower("tufDelegations", 3);
    const targets = repository.targets.get(target)!;
    const verdictWith = async (roles: number) => {
      delegateTo(
        Array.from({ length: roles }, (_, number) => `role${number}`),
        targets,
      );
      rmSync(at("state"), { recursive: true, force: true });
      return verdict("app");
    };
    expect(await verdictWith(limits.tufDelegations)).toBe("accepted");
    expect(await verdictWith(limits.tufDelegations + 1)).toBe("NOT_LISTED");
  });

  test("is not read beyond what a file may have", async () => {
    repository.put("timestamp", " ".repeat(limits.tufTimestampBytes + 1));
    expect(await verdict("app")).toBe("WRONG_SIZE");
    repository.publish("timestamp");
    expect(await verdict("app")).toBe("accepted");
    repository.add(target, new Uint8Array(limits.envelopeBytes + 1));
    expect(await verdict("app")).toBe("BAD_TUF");
  });

  test("is refused with a target of other bytes than it lists", async () => {
    const [file] = readdirSync(at("repository/targets/registry.example"));
    writeFileSync(at(`repository/targets/registry.example/${file}`), bundleOf(image, 8));
    expect(await verdict("app")).toBe("BAD_TUF");
  });

  test("cannot make anybody wait by a fifo, or lead out by a symlink", async () => {
    rmSync(repository.path("timestamp"));
    symlinkSync("/dev/zero", repository.path("timestamp"));
    expect(await verdict("app")).toBe("WRONG_TYPE");
  });

  test("with any bytes in any place is refused by an error of our own", async () => {
    const anything = fc.oneof(
      fc.json().map((text) => text),
      fc.jsonValue().map((signed) => JSON.stringify({ signed, signatures: [] })),
      fc
        .record({ _type: fc.constantFrom("timestamp", "root"), version: fc.anything() })
        .map((signed) => JSON.stringify({ signed, signatures: [] })),
      fc.string(),
    );
    const role = fc.constantFrom("timestamp", "snapshot", "targets");
    const property = fc.asyncProperty(anything, role, async (text, which) => {
      repository.publish("targets", "snapshot", "timestamp");
      repository.put(which, text);
      expect(await verdict("app")).not.toBe("accepted");
    });
    await fc.assert(property, { numRuns: process.env["SLOW"] ? 500 : 40 });
  });
});

describe("metadata", () => {
  const code = (text: string) => refusal(() => checkMetadata(utf8(text), "root"));
  test("is strict JSON", () => {
    expect(code('{"signed":{"version":1},"signatures":[]}')).toBe("accepted");
    for (const text of [
      "",
      "[]",
      '{"signed":[]}',
      '{"signed":{"version":1},"signed":{}}',
      '{"signed":{"version":9007199254740993}}',
      "[".repeat(100_000),
      '{"signed":{}} x',
    ]) {
      expect(code(text), text.slice(0, 50)).toBe("BAD_TUF");
    }
  });
});

describe("the memory", () => {
  test("belongs to the first root: another address does not start anew", async () => {
    cpSync(at("repository"), at("mirror"), { recursive: true });
    repository.publish("timestamp");
    expect(await verdict("app")).toBe("accepted");
    expect(await verdict("app", now, at("mirror"))).toBe("TUF_ROLLBACK");
  });

  test("is private", async () => {
    expect(await verdict("app")).toBe("accepted");
    const [id] = readdirSync(at("state/tuf"));
    const mode = (path: string) => statSync(at(path)).mode & 0o777;
    expect(["state", "state/tuf", `state/tuf/${id}`].map(mode)).toEqual([0o700, 0o700, 0o700]);
    expect(mode(`state/tuf/${id}/timestamp.json`)).toBe(0o600);
  });

  test("that is damaged is not gone over", async () => {
    expect(await verdict("app")).toBe("accepted");
    const [id] = readdirSync(at("state/tuf"));
    const files = ["timestamp.json", "root.json"];
    for (const file of files) {
      const path = at(`state/tuf/${id}/${file}`);
      const before = readFileSync(path);
      for (const bytes of [before.subarray(0, 100), Buffer.alloc(0)]) {
        writeFileSync(path, bytes);
        expect(await verdict("app"), file).toBe("BAD_STATE");
      }
      writeFileSync(path, before);
    }
    rmSync(at(`state/tuf/${id}/root.json`));
    expect(await verdict("app")).toBe("BAD_STATE");
  });

  test("survives what a process left that died", async () => {
    expect(await verdict("app")).toBe("accepted");
    const [id] = readdirSync(at("state/tuf"));
    writeFileSync(at(`state/tuf/${id}/timestamp.json.${process.pid}.tmp`), "half");
    repository.publish("timestamp");
    expect(await verdict("app")).toBe("accepted");
    expect(readdirSync(at(`state/tuf/${id}`)).sort()).toEqual(
      [".lock", "root.json", "snapshot.json", "targets.json", "timestamp.json"].sort(),
    );
  });

  test("is shared by updates at the same time, and keeps the newest", async () => {
    cpSync(at("repository"), at("mirror"), { recursive: true });
    repository.publish("targets", "snapshot", "timestamp");
    const places = [at("repository"), at("mirror")];
    const verdicts = await Promise.all(
      Array.from({ length: 8 }, (_, i) => verdict("app", now, places[i % 2])),
    );
    expect(verdicts.filter((each) => each === "accepted").length).toBeGreaterThanOrEqual(4);
    expect(new Set(verdicts)).toEqual(
      new Set(["accepted", ...verdicts.filter((v) => v !== "accepted").map(() => "TUF_ROLLBACK")]),
    );
    expect(kept("timestamp")).toBe(repository.versions.timestamp);
  });

  test("may be done without", async () => {
    state = undefined;
    expect(await verdict("app")).toBe("accepted");
    repository.versions.timestamp = 0;
    repository.publish("timestamp");
    expect(await verdict("app")).toBe("accepted");
  });

  test.skipIf(process.getuid?.() === 0)(
    "that cannot be written is told (skipped as root)",
    async () => {
      mkdirSync(at("state"));
      chmodSync(at("state"), 0o500);
      expect(await verdict("app")).toBe("STATE_NOT_KEPT");
    },
  );
});

test("a name that is no plain path is asked for nowhere", () => {
  expect(targetPaths("registry.example/a:1")).toEqual([
    "registry.example/a:1.bundle.json",
    "registry.example/a:1.dsse.json",
  ]);
  for (const bad of [
    "../a",
    "a/../b",
    "/a",
    "a//b",
    "a/",
    ".",
    "a?b",
    "a#b",
    "a%2fb",
    "a\\b",
    "",
  ]) {
    expect(
      refusal(() => targetPaths(bad)),
      bad,
    ).toBe("USAGE");
  }
});

describe("over HTTP", () => {
  let server: Server;
  let answer: (path: string) => {
    status?: number;
    headers?: object;
    body?: Uint8Array | "endless";
  };
  let url: string;
  beforeEach(async () => {
    answer = (path) => {
      try {
        return { body: readFileSync(join(at("repository"), path)) };
      } catch {
        return { status: 404 };
      }
    };
    server = createServer((request, response) => {
      const { status = 200, headers = {}, body } = answer(decodeURIComponent(request.url!));
      response.writeHead(status, headers as Record<string, string>);
      if (body !== "endless") return void response.end(body);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, " ")));
      };
      response.on("drain", more);
      more();
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  test("it is the same, and lies are the same lies", async () => {
    expect(await verdict("app", now, url)).toBe("accepted");
    repository.versions.timestamp -= 2;
    repository.publish("timestamp");
    expect(await verdict("app", now, url)).toBe("TUF_ROLLBACK");
  });

  test("what never ends is cut, and what leads nowhere or in a circle is an error", async () => {
    const files = answer;
    answer = (path) => (path.endsWith("timestamp.json") ? { body: "endless" } : files(path));
    expect(await verdict("app", now, url)).toBe("WRONG_SIZE");
    answer = (path) =>
      path.endsWith("timestamp.json")
        ? { status: 302, headers: { location: "/metadata/timestamp.json" } }
        : files(path);
    expect(await verdict("app", now, url)).toBe("BAD_REDIRECT");
    answer = (path) =>
      path.endsWith("timestamp.json") ? { status: 302, headers: { location: "/x" } } : files(path);
    expect(await verdict("app", now, url)).toBe("BAD_RESPONSE");
    answer = () => ({ status: 500 });
    expect(await verdict("app", now, url)).toBe("STATUS");
    server.closeAllConnections();
    server.close();
    expect(await verdict("app", now, url)).toBe("UNREACHABLE");
  });
});

describe("the client of the conformance suite", () => {
  const client = fileURLToPath(new URL("../../tuf-conformance/client.mjs", import.meta.url));
  let server: Server;
  let asked: string[];
  let url: string;
  beforeEach(async () => {
    asked = [];
    server = createServer((request, response) => {
      asked.push(request.url!);
      try {
        response.end(readFileSync(join(at("repository"), decodeURIComponent(request.url!))));
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    mkdirSync(at("metadata"));
    mkdirSync(at("targets"));
    // It takes the machine's own time.
    for (const role of ["root", "timestamp", "snapshot", "targets"] as const) {
      repository.expires[role] = `${new Date().getUTCFullYear() + 1}-01-01T00:00:00Z`;
    }
    repository.publish("root", "targets", "snapshot", "timestamp");
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  const run_ = (...more: string[]) =>
    new Promise<number | null>((done) => {
      const args = [client, "--metadata-dir", at("metadata"), ...more];
      spawn(process.execPath, args, { stdio: "ignore" }).on("exit", done);
    });
  const from = () => ["--metadata-url", `${url}/metadata/`];
  const version = (role: string) =>
    JSON.parse(readFileSync(at(`metadata/${role}.json`), "utf8")).signed.version;

  test("begins, refreshes and downloads as its CLI protocol says", async () => {
    expect(await run_("init", repository.root)).toBe(0);
    expect(asked).toEqual([]);
    expect(await run_(...from(), "refresh")).toBe(0);
    expect(asked.map((path) => path.replace("/metadata/", ""))).toEqual([
      "2.root.json",
      "3.root.json",
      "timestamp.json",
      `${repository.versions.snapshot}.snapshot.json`,
      `${repository.versions.targets}.targets.json`,
    ]);
    expect(version("timestamp")).toBe(repository.versions.timestamp);
    const get = (what: string) => [
      ...from(),
      "--target-name",
      what,
      "--target-base-url",
      `${url}/targets/`,
      "--target-dir",
      at("targets"),
      "download",
    ];
    expect(await run_(...get(target))).toBe(0);
    const [file] = readdirSync(at("targets"));
    expect(readFileSync(at(`targets/${file}`))).toEqual(
      Buffer.from(repository.targets.get(target)!),
    );
    // What is there and still listed is not fetched again.
    asked = [];
    expect(await run_(...get(target))).toBe(0);
    expect(asked.filter((path) => path.startsWith("/targets"))).toEqual([]);
    expect(await run_(...get("nothing"))).toBe(1);
    repository.versions.timestamp -= 2;
    repository.publish("timestamp");
    expect(await run_(...from(), "refresh")).toBe(1);
    expect(version("timestamp")).toBe(repository.versions.timestamp + 1);
  });
});

describe("the commands", () => {
  const options = () => [
    "--key",
    at("alice.pub"),
    "--state",
    at("state"),
    "--tuf",
    at("repository"),
    "--tuf-root",
    repository.root,
  ];
  beforeEach(() => {
    writeFileSync(at("alice.pub"), alice.publicKey.toPem());
    // The commands take the machine's own time.
    const year = new Date().getUTCFullYear() + 1;
    for (const role of ["root", "timestamp", "snapshot", "targets"] as const) {
      repository.expires[role] = `${year}-01-01T00:00:00Z`;
    }
    repository.publish("root", "targets", "snapshot", "timestamp");
    const soon = new Date(Date.now() + 86_400_000);
    const fresh = (bytes: Uint8Array, version: number) =>
      signImage(bytes, {
        name,
        key: alice,
        version,
        created: new Date(Math.floor(Date.now() / 1000) * 1000),
        expires: new Date(Math.floor(soon.getTime() / 1000) * 1000),
      }).bundle;
    repository.add(target, fresh(image, 7));
    writeFileSync(at("other.bundle.json"), fresh(other, 8));
  });

  test("verify asks the repository, and for a name", async () => {
    expect(await runMain("verify", at("app"), "--name", name, ...options())).toMatchObject({
      status: 0,
    });
    const { status, err } = await runMain("verify", at("other"), "--name", name, ...options());
    expect(status).toBe(5);
    expect(err).toContain("is not the one that");
    expect((await runMain("verify", at("app"), ...options())).status).toBe(2);
    const bundle = ["--bundle", at("other.bundle.json")];
    expect(
      (await runMain("verify", at("app"), "--name", name, ...bundle, ...options())).status,
    ).toBe(2);
    expect(
      (await runMain("verify", at("app"), "--name", name, ...options().slice(0, -2))).status,
    ).toBe(2);
  });

  test("trust says whether it is current, and by whom", async () => {
    const good = await runMain("trust", at("app"), "--name", name, "--json", ...options());
    expect(JSON.parse(good.out)).toMatchObject({ ok: true, listing: at("repository") });
    const bad = await runMain("trust", at("other"), "--name", name, "--json", ...options());
    expect(JSON.parse(bad.out)).toMatchObject({ ok: false, refusal: { code: "NOT_CURRENT" } });
    repository.hide("timestamp");
    const none = await runMain("trust", at("other"), "--name", name, ...options());
    expect(none.status).toBe(5);
    expect(none.out).toContain("BAD_RESPONSE");
    const plain = await runMain(
      "trust",
      at("other"),
      "--name",
      name,
      "--key",
      at("alice.pub"),
      "--state",
      "none",
    );
    expect(plain.out).toContain("by expiry alone");
  });

  test("mount and import take what is current, too", async () => {
    repository.add(target, bundleOf(image, 7));
    const store = Store.create(at("store"));
    const id = publish(store, name, ["a"], { version: 1 });
    const parts: Uint8Array[] = [];
    await exportImage(store, name, (bytes) => parts.push(Uint8Array.from(bytes)));
    const archive = Buffer.concat(parts);
    const trust = TrustPolicy.ofKeyring(keyring).withListing(
      openListing({ tuf: at("repository"), tufRoot: repository.root }, state, now),
    );
    const mount = (listed: typeof trust) =>
      openNamedImage(name, { stores: new Stores([store]) }, { trust: listed, now });
    const take = async (listed: typeof trust, options: { name?: string } = { name }) =>
      importImage(at("target"), Readable.from([archive]), {
        trust: { trust: listed, state: undefined },
        ...options,
        now,
        durability: "none",
      });
    await expect(mount(trust)).rejects.toMatchObject({ code: "NOT_CURRENT" });
    await expect(take(trust)).rejects.toMatchObject({ code: "NOT_CURRENT" });
    await expect(take(trust, {})).rejects.toBeInstanceOf(UsageError);
    expect(existsSync(at("target/images"))).toBe(false);
    const plain = trust.withListing(undefined);
    expect((await mount(plain)).digest).toBe(id);
    repository.add(target, store.readBundles(id)[0]!.bytes);
    expect((await mount(trust)).digest).toBe(id);
    expect((await take(trust)).verified?.digest).toBe(id);
  });
});
