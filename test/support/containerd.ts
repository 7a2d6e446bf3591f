/**
 * A containerd of its own, with a socket, a root and a state in a temporary folder: enough to keep
 * and convert images.
 *
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { oracle } from "./oracle.ts";
import { until } from "./until.ts";
import { scratchFolder } from "./scratch.ts";

const programs = ["containerd", "ctr", "ctr-remote"] as const;

/** Why there can be no containerd here; undefined when there can. */
export function noContainerd(): string | undefined {
  const missing = programs.filter((name) => oracle(name) === undefined);
  if (missing.length > 0) return `needs ${missing.join(", ")}: .ci/oracles`;
  return process.geteuid?.() === 0 ? undefined : "needs root";
}

/** One that runs. */
export class Containerd {
  readonly #process: ChildProcess;
  readonly #socket: string;

  private constructor(child: ChildProcess, socket: string) {
    this.#process = child;
    this.#socket = socket;
  }

  static async start(): Promise<Containerd> {
    const folder = scratchFolder();
    const socket = join(folder, "socket");
    const config = join(folder, "config.toml");
    writeFileSync(
      config,
      `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "${socket}"
`,
    );
    const child = spawn(oracle("containerd")!, ["-c", config], { stdio: "ignore" });
    const started = new Containerd(child, socket);
    await until(() => {
      if (child.exitCode === null) started.#run("ctr", ["version"]);
    });
    return started;
  }

  /** The image of an OCI layout with its layers as eStargz, as another layout. */
  stargzOf(layout: string): string {
    const folder = scratchFolder();
    const [from, to] = [join(folder, "from.tar"), join(folder, "to.tar")];
    execFileSync("tar", ["-C", layout, "-cf", from, "."]);
    this.#run("ctr", ["images", "import", "--no-unpack", "--index-name", "from", from]);
    this.#run("ctr-remote", ["images", "convert", "--estargz", "--oci", "from", "to"]);
    this.#run("ctr", ["images", "export", to, "to"]);
    const converted = join(folder, "converted");
    mkdirSync(converted);
    execFileSync("tar", ["-C", converted, "-xf", to]);
    return converted;
  }

  stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#process.once("exit", () => resolve()));
    this.#process.kill();
    return gone;
  }

  #run(program: (typeof programs)[number], args: readonly string[]): void {
    execFileSync(oracle(program)!, ["-a", this.#socket, ...args], { stdio: "pipe" });
  }
}
