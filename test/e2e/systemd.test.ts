/**
 * The examples of `examples/systemd/` under the real systemd, which boots in namespaces of its own: a unit
 * and a line of fstab, the order of mounts, and the end of the machine.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ascii } from "../../src/bytes/bytestring.ts";
import { noKernelStack } from "../support/kernel.ts";
import { MountBed, newDirectory, noMount } from "../support/mount-bed.ts";
import { bin, runProgram } from "../support/run.ts";

const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const examples = join(project, "examples/systemd");
const boot = fileURLToPath(new URL("../support/systemd.sh", import.meta.url));
const has = (path: string) => (existsSync(path) ? undefined : `${path} is missing`);
const reason = noMount() ?? noKernelStack() ?? has("/lib/systemd/systemd") ?? has("/usr/bin/systemd-analyze"); // prettier-ignore

const site = "example.org/site:1.0";
const tools = "example.org/tools:2";

/** What the machine does when it is up; the test reads what it says. */
const CHECK = `
exec >/out/check.log 2>&1
say() { echo "== $1"; }
say boot; systemctl is-active srv-site.mount opt-tools.mount; systemctl is-failed srv-site.mount opt-tools.mount
say order; systemctl show -P After srv-site.mount opt-tools.mount
say read; cksum </srv/site/large; cat /opt/tools/text
say write; echo more >>/opt/tools/text; cat /opt/tools/text; touch /srv/site/new
say stop; systemctl stop srv-site.mount; systemctl is-active srv-site.mount; mountpoint /srv/site
while pgrep -f 'server.js "/srv/site"' >/dev/null; do sleep 0.1; done
pgrep -fc 'server.js "/srv/site"'
say start; systemctl start srv-site.mount; systemctl is-active srv-site.mount; cksum </srv/site/large
say killed; pkill -9 -f 'server.js "/srv/site"'
while systemctl is-active srv-site.mount >/dev/null; do sleep 0.1; done
systemctl is-active srv-site.mount; mountpoint /srv/site
say again; systemctl restart srv-site.mount; systemctl is-active srv-site.mount; cksum </srv/site/large
say status; node ${project}/bin/sealfs.js status --json | grep condition
say gc; node ${project}/bin/sealfs.js gc --store /var/lib/sealfs/store >/dev/null; ls /var/lib/sealfs/store/leases | wc -l
say end
`;

const units = {
  "check.target": "[Unit]\nRequires=basic.target\nWants=srv-site.mount check.service\nAfter=basic.target\nAllowIsolate=yes\n", // prettier-ignore
  "check.service": `[Unit]
After=srv-site.mount opt-tools.mount
[Service]
Type=oneshot
ExecStart=/bin/sh /out/check.sh
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=300
`,
};

describe("systemd", () => {
  let bed: MountBed;
  let said: Map<string, string>;
  let failure: string | undefined;
  let sum: string;
  beforeEach((context) => context.skip(reason !== undefined || failure !== undefined, reason ?? failure)); // prettier-ignore
  beforeAll(() => {
    if (reason !== undefined) return;
    bed = new MountBed();
    const large = Buffer.alloc(300_000, "large ");
    sum = spawnSync("cksum", { input: large, encoding: "utf8" }).stdout.trim();
    const root = newDirectory();
    root.mode = 0o40755;
    root.entries.set(ascii("large"), bed.file(large));
    root.entries.set(ascii("text"), bed.file(Buffer.from("text\n")));
    bed.addTree(site, root);
    bed.addTree(tools, root);
    ({ said, failure } = bootMachine(bed));
  }, 400_000);
  afterAll(() => bed?.close());

  test("finds nothing wrong with the example", () => {
    const verify = spawnSync("systemd-analyze", ["verify", join(examples, "srv-site.mount")], {
      encoding: "utf8",
    });
    expect(verify.stderr.split("\n").filter((line) => line.includes("srv-site"))).toEqual([]);
    expect(verify.status).toBe(0);
  });

  test("mounts a unit and a line of fstab at boot, after the store's own file system", () => {
    expect(said.get("boot")).toBe("active\nactive\nactive\nactive");
    const [unit, line] = said.get("order")!.split("\n\n");
    expect(unit).toContain("var-lib-sealfs-store.mount");
    expect(line).toContain("var-lib-sealfs-store.mount");
    expect(said.get("read")).toBe(`${sum}\ntext`);
  });

  test("what is mounted with directories for changes can be written to, the other not", () => {
    expect(said.get("write")).toMatch(/^text\nmore\ntouch: .*Read-only file system$/);
  });

  test("stops a mount without a trace, and starts it again", () => {
    expect(said.get("stop")).toMatch(/^inactive\n.*is not a mountpoint\n0$/);
    expect(said.get("start")).toBe(`active\n${sum}`);
  });

  test("sees the end of a mount whose server was killed, and can mount again", () => {
    expect(said.get("killed")).toMatch(/^(inactive|failed)\n.*is not a mountpoint$/);
    expect(said.get("again")).toBe(`active\n${sum}`);
    expect(said.get("status")).toMatch(/^"condition": "live",\n +"condition": "live",$/);
    expect(said.get("gc")).toBe("2");
  });

  test("ends all mounts well when the machine is shut down", () => {
    expect(said.has("end")).toBe(true);
    // A server that is killed leaves its lease.
    expect(readdirSync(join(bed.store.path, "leases"))).toEqual([]);
  });
});

/** Boots, checks and shuts down; `failure` is why it could not even come up. */
function bootMachine(bed: MountBed): { said: Map<string, string>; failure: string | undefined } {
  const scratch = bed.path;
  const system = join(scratch, "etc/systemd/system");
  for (const path of [system, join(scratch, "etc/sealfs"), join(scratch, "out")]) {
    mkdirSync(path, { recursive: true });
  }
  cpSync(join(examples, "srv-site.mount"), join(system, "srv-site.mount"));
  for (const [name, text] of Object.entries(units)) writeFileSync(join(system, name), text);
  const store = "/seed /var/lib/sealfs/store none bind 0 0\n";
  writeFileSync(join(scratch, "etc/fstab"), store + readFileSync(join(examples, "fstab"), "utf8"));
  cpSync(bed.keyFile, join(scratch, "etc/sealfs/signer.pub"));
  const policy = join(scratch, "etc/sealfs/policy.json");
  runProgram(process.execPath, [
    bin,
    "policy",
    "init",
    policy,
    "--name",
    "tools",
    "--key",
    bed.keyFile,
  ]);
  runProgram(process.execPath, [bin, "policy", "set", policy, "--rule", "example.org/**=1"]);
  writeFileSync(join(scratch, "out/check.sh"), CHECK);
  const machine = spawnSync("sh", [boot, scratch, project, process.execPath], {
    encoding: "utf8",
    timeout: 380_000,
    killSignal: "SIGKILL",
  });
  let text = "";
  try {
    text = readFileSync(join(scratch, "out/check.log"), "utf8");
  } catch {
    const words = `${machine.stderr}${readIfThere(join(scratch, "out/boot.log"))}`;
    return {
      said: new Map(),
      failure: `systemd does not boot in namespaces here: ${words.trim()}`,
    };
  }
  const parts = text.split("== ").slice(1);
  return { said: new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trim()])), failure: undefined }; // prettier-ignore
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
