/**
 * What is remembered of sources: which of them is to be asked first, which to be left alone for a
 * while, and why. A source that failed cools down, longer each time; one that sent wrong bytes
 * longer than one that could not be reached. It is still asked when nobody else is left.
 *
 * @module
 */
import { FormatError, IntegrityError, NetworkError, NotFoundError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { VerityDigest } from "../verity/verity-digest.ts";
import { type ObjectSource, RestartError, type WantedObject } from "./source.ts";

/**
 * Why a source could not give an object: it sent something else, or is not who it should be; it has
 * none; it wants credentials, or gives no parts; it asked to be left alone; it was too slow; it
 * could not be reached or broke off.
 */
export type FaultKind = "wrong" | "missing" | "refused" | "busy" | "slow" | "unreachable";

/** What a source did wrong. */
export interface Fault {
  readonly source: ObjectSource;
  readonly kind: FaultKind;
  readonly error: Error;
}

/** First cool-down and longest, in ms. It doubles with every fault in a row. */
const coolDowns: Readonly<Record<FaultKind, readonly [number, number]>> = {
  wrong: [30_000, 600_000],
  refused: [10_000, 300_000],
  slow: [10_000, 300_000],
  unreachable: [2_000, 120_000],
  busy: [1_000, 30_000],
  missing: [5_000, 60_000],
};
/** Not having an object is no fault, but this many in a row say that asking is a waste of time. */
const MISSING_IN_A_ROW = 16;
/** How long a source is not asked again for an object that it lacks, or has wrong. */
const SET_ASIDE_MS = 10_000;
/** Transfers under this tell more about delays than about rates. */
const RATE_BYTES = 16 * 1024;
/** Bytes per second under which an unknown source is worth a try. */
const SLUGGISH = 64 * 1024;
/** This many times slower than another source is too slow. */
const OUTPACED = 8;

/** What `sealfs status` tells of a source. */
export interface SourceStats {
  readonly name: string;
  readonly kind: ObjectSource["kind"];
  /** Requests that gave what was wanted. */
  readonly good: number;
  /** Bytes of objects that these gave. */
  readonly bytes: number;
  /** Bytes over the wire, where that is another number; those that were in vain count as well. */
  readonly received: number | undefined;
  /** Bytes per second of the last ones; undefined before the first. */
  readonly rate: number | undefined;
  readonly faults: Readonly<Record<FaultKind, number>>;
  /** Why the last request that failed did so. */
  readonly lastFault: string | undefined;
  /** Milliseconds until it is asked again like any other; 0 when it is now. */
  readonly coolingMs: number;
}

interface State {
  good: number;
  bytes: number;
  rate: number | undefined;
  readonly faults: Record<FaultKind, number>;
  lastFault: Fault | undefined;
  /** Faults that the next cool-down counts. */
  streak: number;
  missingInARow: number;
  coolUntil: number;
  readonly aside: Map<VerityDigest, { readonly until: number; readonly fault: Fault }>;
}

/** The memory of one process about its sources. */
export class Health {
  readonly #states = new Map<ObjectSource, State>();
  readonly #now: () => number;

  /** `now` is a clock in ms that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * The sources to be asked for an object, in order: as given; behind them those that are cooling
   * down, the first to be fit again first. Those that were set aside for it are `faults` instead.
   */
  order(
    sources: readonly ObjectSource[],
    object: WantedObject,
  ): { readonly ask: readonly ObjectSource[]; readonly faults: readonly Fault[] } {
    const now = this.#now();
    const faults: Fault[] = [];
    const fit: ObjectSource[] = [];
    const cooling: { source: ObjectSource; until: number }[] = [];
    for (const source of sources) {
      const state = this.#states.get(source);
      const aside = state?.aside.get(object.digest);
      if (aside !== undefined && aside.until > now) faults.push(aside.fault);
      else if (state !== undefined && state.coolUntil > now) {
        cooling.push({ source, until: state.coolUntil });
      } else fit.push(source);
    }
    cooling.sort((a, b) => a.until - b.until);
    return { ask: [...fit, ...cooling.map(({ source }) => source)], faults };
  }

  /** Whether a source is asked like any other now. */
  isFit(source: ObjectSource): boolean {
    return (this.#states.get(source)?.coolUntil ?? 0) <= this.#now();
  }

  lastFault(source: ObjectSource): Fault | undefined {
    return this.#states.get(source)?.lastFault;
  }

  /** How many ms a source that is busy wants to be left alone; 0 for every other. */
  busyMs(source: ObjectSource): number {
    const state = this.#states.get(source);
    if (state?.lastFault?.kind !== "busy") return 0;
    return Math.max(0, state.coolUntil - this.#now());
  }

  /** A source gave what was wanted. */
  praise(source: ObjectSource, bytes: number, ms: number): void {
    const state = this.#state(source);
    state.good += 1;
    state.bytes += bytes;
    state.missingInARow = 0;
    // One good answer does not make an honest mirror of a liar.
    state.streak >>= 1;
    if (state.lastFault?.kind !== "wrong") state.coolUntil = 0;
    if (bytes < RATE_BYTES) return;
    const rate = (bytes / Math.max(ms, 1)) * 1000;
    state.rate = state.rate === undefined ? rate : (state.rate * 3 + rate) / 4;
  }

  /** A source failed to give `object`: it is set aside for it, and cools down. */
  blame(source: ObjectSource, object: WantedObject, error: Error): Fault {
    const now = this.#now();
    const state = this.#state(source);
    const kind = kindOf(error);
    const fault: Fault = { source, kind, error };
    state.faults[kind] += 1;
    state.lastFault = fault;
    if (kind === "wrong" || kind === "missing") {
      setAside(state.aside, object.digest, { until: now + SET_ASIDE_MS, fault }, now);
    }
    state.missingInARow = kind === "missing" ? state.missingInARow + 1 : 0;
    if (kind === "missing" && state.missingInARow < MISSING_IN_A_ROW) return fault;
    const [first, longest] = coolDowns[kind];
    // Requests that were under way together fail together: that is one fault.
    if (state.coolUntil <= now) state.streak += 1;
    const asked = kind === "busy" ? retryAfterMs(error) : undefined;
    const ms = asked ?? first * 2 ** Math.min(state.streak - 1, 16);
    state.coolUntil = Math.max(state.coolUntil, now + Math.min(ms, longest));
    return fault;
  }

  /**
   * Whether a transfer at `rate` bytes per second should be given up for another source: one that
   * is known to be much faster, or, when this one is slow by any measure, one that is not known
   * yet.
   */
  isOutpaced(source: ObjectSource, rate: number, others: readonly ObjectSource[]): boolean {
    return others.some((other) => {
      if (other === source || !this.isFit(other)) return false;
      const known = this.#states.get(other)?.rate;
      return known === undefined ? rate < SLUGGISH : rate * OUTPACED < known;
    });
  }

  stats(sources: Iterable<ObjectSource>): SourceStats[] {
    const now = this.#now();
    return [...sources].map((source) => {
      const { good, bytes, rate, faults, lastFault, coolUntil } = this.#state(source);
      return {
        name: source.name,
        kind: source.kind,
        good,
        bytes,
        received: source.received?.(),
        rate: rate === undefined ? undefined : Math.round(rate),
        faults: { ...faults },
        lastFault: lastFault?.error.message,
        coolingMs: Math.max(0, Math.ceil(coolUntil - now)),
      };
    });
  }

  #state(source: ObjectSource): State {
    let state = this.#states.get(source);
    if (state === undefined) {
      state = {
        good: 0,
        bytes: 0,
        rate: undefined,
        faults: { wrong: 0, missing: 0, refused: 0, busy: 0, slow: 0, unreachable: 0 },
        lastFault: undefined,
        streak: 0,
        missingInARow: 0,
        coolUntil: 0,
        aside: new Map(),
      };
      this.#states.set(source, state);
    }
    return state;
  }
}

/** What a failure says about the source. */
export function kindOf(error: Error): FaultKind {
  if (error instanceof NetworkError) return kindOfNetwork(error);
  if (error instanceof NotFoundError) return "missing";
  if (error instanceof IntegrityError || error instanceof FormatError) return "wrong";
  if (error instanceof RestartError) return "wrong"; // it keeps changing its mind
  return "unreachable";
}

function kindOfNetwork(error: NetworkError): FaultKind {
  switch (error.code) {
    case "NOT_FOUND":
      return "missing";
    case "UNAUTHORIZED":
    case "RANGE":
      return "refused";
    case "BUSY":
      return "busy";
    case "TIMEOUT":
    case "TOO_SLOW":
      return "slow";
    case "TLS":
      return "unreachable"; // any portal shows another certificate: it says nothing about objects
    default:
      return error.mirrorAtFault ? "wrong" : "unreachable";
  }
}

/** How long the source asked to be left alone. */
export function retryAfterMs(error: Error): number | undefined {
  return error instanceof NetworkError ? error.retryAfterMs : undefined;
}

/** Memory does not grow with what a mirror lacks: the oldest entries go first. */
function setAside<T extends { readonly until: number }>(
  aside: Map<VerityDigest, T>,
  digest: VerityDigest,
  entry: T,
  now: number,
): void {
  aside.delete(digest);
  for (const [old, { until }] of aside) {
    if (until > now && aside.size < limits.objectsSetAside) break;
    aside.delete(old);
  }
  aside.set(digest, entry);
}
