/**
 * A network namespace with one link to this machine, which can be made slow. Needs root and iproute2.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { run } from "./tools.mjs";

/** This end of the link, and the other. */
const HERE = "10.213.77.1";
const THERE = "10.213.77.2";

/** A machine at the end of a link. */
export class Namespace {
  address = HERE;
  #name = `sealfs-bench-${process.pid}`;
  #device = `sfb${process.pid}`.slice(0, 13);
  #children = [];

  constructor() {
    const [here, there] = [`${this.#device}a`, `${this.#device}b`];
    run("ip", ["netns", "add", this.#name]);
    run("ip", ["link", "add", here, "type", "veth", "peer", "name", there]);
    run("ip", ["link", "set", there, "netns", this.#name]);
    run("ip", ["addr", "add", `${HERE}/30`, "dev", here]);
    run("ip", ["link", "set", here, "up"]);
    this.run("ip", ["addr", "add", `${THERE}/30`, "dev", there]);
    this.run("ip", ["link", "set", there, "up"]);
    this.run("ip", ["link", "set", "lo", "up"]);
  }

  /** Runs a command over there, to its good end. */
  run(command, args, options) {
    return run("ip", ["netns", "exec", this.#name, command, ...args], options);
  }

  /** At most so many bytes per second come over there. */
  limit(bytesPerSecond) {
    const rate = `${bytesPerSecond * 8}bit`;
    const shape = ["rate", rate, "burst", "64kb", "latency", "100ms"];
    run("tc", ["qdisc", "replace", "dev", `${this.#device}a`, "root", "tbf", ...shape]);
  }

  unlimit() {
    spawnSync("tc", ["qdisc", "del", "dev", `${this.#device}a`, "root"]);
  }

  /** A port of {@link address} that leads to `port`, so many ms there and back. */
  async delayed(port, delayMs) {
    const at = port + 1;
    const link = fileURLToPath(new URL("link.mjs", import.meta.url));
    const argv = [link, HERE, at, HERE, port, delayMs].map(String);
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(child);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    return at;
  }

  remove() {
    for (const child of this.#children) child.kill();
    spawnSync("ip", ["link", "del", `${this.#device}a`]);
    spawnSync("ip", ["netns", "del", this.#name]);
  }
}
