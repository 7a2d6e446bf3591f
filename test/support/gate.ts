/**
 * Something to wait at, until a test lets go.
 *
 * @module
 */

export class Gate {
  /** Resolves once it is open. */
  readonly opened: Promise<void>;
  open!: () => void;

  constructor() {
    this.opened = new Promise((resolve) => (this.open = resolve));
  }
}
