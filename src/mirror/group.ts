/**
 * Reading several objects that one source gives together: each is compared with its digest as it
 * comes to its end, and one that is wrong does no harm to the others.
 *
 * @module
 */
import { IntegrityError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import type { Attempt } from "./failover.ts";
import type { Health } from "./health.ts";
import { type Intake, openIntake } from "./intake.ts";
import type { Publisher } from "./publisher.ts";
import type { GroupPart, ObjectGroup, ObjectSource, WantedObject } from "./source.ts";

/** An object that came right; it is published a little later. */
export interface Landed {
  readonly published: Promise<void>;
}

interface Landing {
  readonly object: WantedObject;
  readonly done: Promise<Landed | undefined>;
  settle(landed: Landed | undefined): void;
}

/** The objects of a group for which somebody waits, until each has landed or is known not to. */
export class Landings {
  readonly #all = new Map<VerityDigest, Landing>();
  readonly #open = new Map<VerityDigest, Landing>();

  constructor(objects: readonly WantedObject[]) {
    for (const object of objects) {
      let settle!: Landing["settle"];
      const done = new Promise<Landed | undefined>((resolve) => (settle = resolve));
      this.#all.set(object.digest, { object, done, settle });
    }
    this.#open = new Map(this.#all);
  }

  /** Undefined when it did not land, or is not in the group. */
  of({ digest }: WantedObject): Promise<Landed | undefined> {
    return this.#all.get(digest)?.done ?? Promise.resolve(undefined);
  }

  /** Those that have not come yet. */
  open(): WantedObject[] {
    return [...this.#open.values()].map(({ object }) => object);
  }

  isOpen({ digest }: WantedObject): boolean {
    return this.#open.has(digest);
  }

  settle({ digest }: WantedObject, landed: Landed | undefined): void {
    this.#open.get(digest)?.settle(landed);
    this.#open.delete(digest);
  }

  /** The others do not come any more. */
  end(): void {
    for (const object of this.open()) this.settle(object, undefined);
  }
}

/** Whom to blame, and where objects go. */
export interface GroupTarget {
  readonly source: ObjectSource;
  readonly health: Health;
  readonly store: Store;
  readonly publisher: Publisher;
}

/**
 * Reads a group to its end.
 *
 * @throws what the source throws; {@link SystemError} when the store cannot take an object
 */
export async function readGroup(
  group: ObjectGroup,
  landings: Landings,
  attempt: Attempt,
  target: GroupTarget,
): Promise<void> {
  let intake: Intake | undefined;
  try {
    for await (const part of group.read({ signal: attempt.signal })) {
      attempt.signal.throwIfAborted();
      attempt.progress(part.chunk.length);
      if (!landings.isOpen(part.object)) continue;
      if (intake === undefined) {
        intake = await openIntake(target.store, part.object);
        intake.reset(); // what an earlier run left does not go with what comes now
      }
      if (take(part, intake, landings, target)) intake = undefined;
    }
  } finally {
    intake?.abandon({ keep: false });
  }
}

/** Returns whether the object has come to its end. */
function take(
  { object, chunk, isLast }: GroupPart,
  intake: Intake,
  landings: Landings,
  { source, health, publisher }: GroupTarget,
): boolean {
  intake.append(chunk);
  if (!isLast) return false;
  const got = intake.digest();
  if (got === object.digest) {
    landings.settle(object, { published: intake.publish(publisher) });
    return true;
  }
  intake.abandon({ keep: false });
  const message = `object ${object.digest}: what ${source.name} sent has the digest ${got}`;
  health.blame(source, object, new IntegrityError("DIGEST_MISMATCH", message));
  landings.settle(object, undefined);
  return true;
}
