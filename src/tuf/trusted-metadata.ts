/**
 * The trusted metadata of one update, checked by tuf-js: with one time for the whole update, and
 * with the error by which the last file was refused. The updater puts only the message of that
 * error into its own, so the class would be lost.
 *
 * @module
 */
import { TrustedMetadataStore } from "tuf-js/dist/store.js";

/** What tuf-js knows of a repository; begins with the bytes of a trusted root. */
export class TrustedMetadata extends TrustedMetadataStore {
  #refusal: Error | undefined;

  constructor(root: Buffer, now: Date) {
    super(root);
    this["referenceTime"] = now; // TUF 1.0.34, section 5.1
  }

  /** Why the last file was refused; undefined when it was good. */
  get refusal(): Error | undefined {
    return this.#refusal;
  }

  override updateRoot(bytes: Buffer) {
    return this.#watched(() => super.updateRoot(bytes));
  }

  override updateTimestamp(bytes: Buffer) {
    return this.#watched(() => super.updateTimestamp(bytes));
  }

  override updateSnapshot(bytes: Buffer, trusted?: boolean) {
    return this.#watched(() => super.updateSnapshot(bytes, trusted));
  }

  override updateDelegatedTargets(bytes: Buffer, role: string, delegator: string): void {
    this.#watched(() => super.updateDelegatedTargets(bytes, role, delegator));
  }

  #watched<T>(update: () => T): T {
    this.#refusal = undefined;
    try {
      return update();
    } catch (error) {
      this.#refusal = error as Error;
      throw error;
    }
  }
}
