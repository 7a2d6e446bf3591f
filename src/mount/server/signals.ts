/**
 * Requests to end a mount: signals, and in the foreground the end of the command at the other end of a
 * pipe. One that comes while the mount is being made is remembered.
 *
 * @module
 */
import { Socket } from "node:net";
import { SystemError } from "../../errors.ts";
import { LIFE_FD } from "./server-input.ts";

const names = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** Hears signals from its construction on. */
export class Signals {
  #asked = false;
  #act: (() => void) | undefined;
  readonly #hear = () => {
    this.#asked = true;
    this.#act?.();
  };

  constructor(foreground: boolean) {
    for (const name of names) process.on(name, this.#hear);
    if (!foreground) return;
    const life = new Socket({ fd: LIFE_FD, readable: true, writable: false });
    life.on("close", this.#hear).on("error", () => undefined);
    life.resume().unref(); // it must not keep the process when the mount has ended
  }

  /** @throws {@link SystemError} `INTERRUPTED` when the end was wished for already */
  throwIfAsked(): void {
    if (this.#asked) throw new SystemError("INTERRUPTED", "mount: interrupted");
  }

  /** Calls `act` for every request to end, also for one that came before. */
  onAsked(act: () => void): void {
    this.#act = act;
    if (this.#asked) act();
  }

  /** From now on signals end the process. */
  close(): void {
    for (const name of names) process.removeListener(name, this.#hear);
  }
}
