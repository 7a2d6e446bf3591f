/**
 * What has to be undone at the end, whether the work succeeded or not: steps that are added as the work
 * goes on, and run in reverse order.
 *
 * @module
 */

type Step = () => void | Promise<void>;

/** A list of steps; each runs once. */
export class Undo {
  readonly #steps: Step[] = [];
  readonly #onError: (error: unknown) => void;
  #run: Promise<void> | undefined;

  /** `onError` hears of a step that fails; the others run all the same. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Adds what undoes the thing that was just done. */
  add(step: Step): void {
    this.#steps.push(step);
  }

  /** Runs the steps, last first; every call waits for the same run. Never rejects. */
  run(): Promise<void> {
    return (this.#run ??= this.#runSteps());
  }

  async #runSteps(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}
