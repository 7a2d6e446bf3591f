/**
 * One object from one source: resumed where it broke off, never more bytes than it has, compared with
 * its digest.
 *
 * Spec: docs/hostile-inputs.md, 107 to 114, 128 to 131.
 *
 * @module
 */
import { IntegrityError, NetworkError } from "../errors.ts";
import type { Attempt } from "./failover.ts";
import type { Intake } from "./intake.ts";
import { type ObjectSource, RestartError, Validator, type WantedObject } from "./source.ts";

/** So often a transfer that broke off goes on where it was, provided that it had got further. */
const RESUMES = 5;

/** Who sent what an intake holds, from one attempt to the next. */
export class Provenance {
  /** `earlier`: left over from another run. */
  #senders: Set<ObjectSource | "earlier">;

  constructor(intake: Intake) {
    this.#senders = new Set(intake.size > 0 ? ["earlier"] : []);
  }

  add(source: ObjectSource): void {
    this.#senders.add(source);
  }

  /** Whether all that the intake holds is by `source`. */
  isOnly(source: ObjectSource): boolean {
    return [...this.#senders].every((sender) => sender === source);
  }

  clear(): void {
    this.#senders = new Set();
  }
}

/**
 * Fills the intake. What it holds already counts as the object's beginning; should that turn out wrong
 * and be by somebody else, the source is asked for all of it before it is blamed.
 *
 * @throws {@link IntegrityError} when the source sent something else; what it throws itself
 */
export async function download(
  source: ObjectSource,
  object: WantedObject,
  intake: Intake,
  provenance: Provenance,
  { signal, progress }: Attempt,
): Promise<void> {
  const { digest, size } = object;
  const restart = () => {
    intake.reset();
    provenance.clear();
  };
  let validator = new Validator();
  let resumes = 0;
  let restarts = 0;
  /** Why the transfer broke off that is being resumed. */
  let broke: unknown;
  for (;;) {
    const start = intake.size;
    try {
      if (start < size) {
        provenance.add(source);
        const range = { start, end: size };
        for await (const chunk of source.read(object, range, { signal, validator })) {
          signal.throwIfAborted();
          intake.append(chunk);
          progress(chunk.length);
        }
      }
      if (intake.size < size) throw cutShort(source, object, intake.size);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RestartError && restarts++ === 0) {
        restart();
        validator = new Validator();
        continue;
      }
      if (canResume(error) && intake.size > start && resumes++ < RESUMES) {
        broke = error;
        continue;
      }
      if (error instanceof IntegrityError) restart();
      throw error instanceof RestartError ? (broke ?? error) : error;
    }
    const got = intake.digest();
    if (got === digest) return;
    const isAllOurs = provenance.isOnly(source);
    restart();
    if (isAllOurs) {
      const message = `object ${digest}: what ${source.name} sent has the digest ${got}`;
      throw new IntegrityError("DIGEST_MISMATCH", message);
    }
    validator = new Validator();
  }
}

/** It came to an end as if all were there: a connection that says no length may do so. */
function cutShort(source: ObjectSource, { digest, size }: WantedObject, got: number) {
  const message = `object ${digest}: ${source.name}: expected ${size} bytes, got ${got}`;
  return new IntegrityError("CUT_SHORT", message);
}

function canResume(error: unknown): boolean {
  return (
    (error instanceof IntegrityError || error instanceof NetworkError) && error.code === "CUT_SHORT"
  );
}
