/**
 * The mount that a server process serves, from the moment at which it is mounted.
 *
 * @module
 */
import { SystemError } from "../../errors.ts";
import type { Served } from "../../fuse/transport.ts";
import { endConnection } from "../table/end-mount.ts";
import { mountAt } from "../table/mountinfo.ts";

/** A live mount, and its end. */
export class LiveMount {
  /** The device number; from the list of mounts, because stat would ask this very process. */
  readonly device: string;
  readonly served: Served;
  /** Resolves when the file system is no more; rejects when its server has failed. */
  readonly ended: Promise<void>;
  readonly #target: string;
  #isEnding = false;

  /** @throws {@link SystemError} `IO` when nothing is mounted on `target` any more */
  constructor(target: string, served: Served) {
    const mount = mountAt(target);
    if (mount === undefined) {
      throw new SystemError("IO", `mount at ${target}: not in the list of mounts`);
    }
    this.device = mount.device;
    this.served = served;
    this.#target = target;
    this.ended = served.ended.then(() => {
      this.#isEnding = true; // the number may be another mount's by now
    });
  }

  /** Ends it, also while it is in use; false when it may live on. */
  end(): boolean {
    this.#isEnding ||= endConnection(this.#target, this.device);
    return this.#isEnding;
  }
}
