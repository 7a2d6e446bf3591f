/**
 * Asking one source after another until one has given what was wanted. Everything that fetches goes
 * through here: whole objects, parts of them, leaf hashes.
 *
 * - Each source gets a fair share of the time that is left, so that a slow one cannot use up all.
 * - One that is much slower than others are known to be is left for them, and asked again last.
 * - One that could not be reached is asked once more when nobody else is left, and where somebody waits for
 *   it, again and again; one that is busy, after the time that it asked for, as long as there is time.
 * - Only when all have failed is there an error, with the reason of each.
 *
 * Spec: docs/hostile-inputs.md, 133, 140, 141.
 *
 * @module
 */
import { FetchError, SystemError, NetworkError } from "../errors.ts";
import type { Fault, Health } from "./health.ts";
import type { ObjectSource, WantedObject } from "./source.ts";

/** One try at one source. */
export interface Attempt {
  /** Ends when the caller loses interest or the time of this source is up. */
  readonly signal: AbortSignal;
  /** To be told of every byte that has come; what never tells is only bound by its time. */
  readonly progress: (bytes: number) => void;
}

export interface FailoverRequest<T> {
  /** What is wanted: names the object in errors, and whom to set aside for it. */
  readonly object: WantedObject;
  readonly sources: readonly ObjectSource[];
  readonly health: Health;
  /** Milliseconds until there is an answer or an error. */
  readonly deadlineMs: number;
  /** How long a source that is busy may be waited for; by default as long as there is time. */
  readonly waitMs?: number;
  /**
   * Whether sources that cannot be reached are asked again for the same time, because a server restarts or
   * the network is not there yet; otherwise they are asked once more.
   */
  readonly isPatient?: boolean;
  readonly signal?: AbortSignal | undefined;
  /**
   * Gets it from one source, and checks it. A {@link SystemError} is a fault of this machine, never
   * of a source, and ends everything.
   */
  readonly attempt: (source: ObjectSource, attempt: Attempt) => Promise<T>;
}

/** How often a transfer's pace is looked at, and when first. */
const PACE_MS = 1_000;
const PATIENCE_MS = 5_000;
/** Before a source that could not be reached is asked again: at first, and at most after several tries. */
const PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2_000;

interface Turn {
  readonly source: ObjectSource;
  /** Asked for the second time: it is all there is. */
  readonly isLast: boolean;
  /** How often it was asked before. */
  readonly tries: number;
  readonly notBefore: number;
}

/**
 * What the first source that can gives.
 *
 * @throws {@link FetchError} `NO_SOURCE` when no source has it as far as they know; `ALL_FAILED`
 *   with the reason of each
 * @throws the reason of `signal` when it ends first
 */
export async function failover<T>(request: FailoverRequest<T>): Promise<T> {
  const { object, sources, health, signal } = request;
  const start = performance.now();
  const end = start + request.deadlineMs;
  const waitEnd = start + Math.min(request.deadlineMs, request.waitMs ?? Infinity);
  const holders = sources.filter((source) => source.cost(object) !== undefined);
  const { ask, faults: known } = health.order(holders, object);
  const faults = new Map<ObjectSource, Fault>(known.map((fault) => [fault.source, fault]));
  const turns: Turn[] = ask.map((source) => ({
    source,
    isLast: false,
    tries: 0,
    notBefore: health.busyMs(source) === 0 ? 0 : performance.now() + health.busyMs(source),
  }));
  for (let turn = next(turns); turn !== undefined; turn = next(turns)) {
    const { source, isLast } = turn;
    if (turn.notBefore >= waitEnd) {
      const fault = faults.get(source) ?? health.lastFault(source);
      if (fault !== undefined) faults.set(source, fault);
      continue;
    }
    await sleepUntil(turn.notBefore, signal);
    const share = (end - performance.now()) / (1 + turns.length);
    if (share <= 0) break;
    const others = isLast ? [] : turns.filter((each) => !each.isLast).map((each) => each.source);
    try {
      return await attemptSource(request, source, share, others);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isFaultOfSource(error)) throw error;
      const fault = health.blame(source, object, error);
      faults.set(source, fault);
      if (isWorthAnother(fault, isLast, request.isPatient === true)) {
        turns.push(again(fault, health, turn.tries + 1));
      }
    }
  }
  throw allFailed(object, sources, faults);
}

/**
 * One turn of one source. It is praised when it succeeds; blaming it is left to the caller.
 * `others` are those that may take over when it is slow.
 *
 * @throws what the attempt throws; {@link NetworkError} `TIMEOUT`; the reason of the signal
 */
export async function attemptSource<T>(
  {
    object,
    health,
    signal,
    attempt,
  }: Pick<FailoverRequest<T>, "object" | "health" | "signal" | "attempt">,
  source: ObjectSource,
  shareMs: number,
  others: readonly ObjectSource[],
): Promise<T> {
  const controller = new AbortController();
  const start = performance.now();
  let bytes = 0;
  const giveUp = (why: string) =>
    controller.abort(
      new NetworkError("TIMEOUT", `object ${object.digest}: ${source.name}: ${why}`),
    );
  const timer = setTimeout(() => giveUp(`not done after ${seconds(shareMs)} s`), shareMs);
  const pace = setInterval(() => {
    const ms = performance.now() - start;
    const rate = (bytes / ms) * 1000;
    if (ms < PATIENCE_MS || !health.isOutpaced(source, rate, others)) return;
    giveUp(`${bytes} bytes in ${seconds(ms)} s, which others may do faster`);
  }, PACE_MS);
  const stop = () => controller.abort(signal!.reason);
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  try {
    const aborted = new Promise<never>((_, reject) => {
      const fail = () => reject(controller.signal.reason as Error);
      if (controller.signal.aborted) fail();
      controller.signal.addEventListener("abort", fail, { once: true });
    });
    const progress = (more: number) => void (bytes += more);
    // A source that does not heed the signal must not keep its caller.
    const result = await Promise.race([
      attempt(source, { signal: controller.signal, progress }),
      aborted,
    ]);
    health.praise(source, bytes, performance.now() - start);
    return result;
  } catch (error) {
    // What breaks because the time was up says so.
    throw controller.signal.aborted ? (controller.signal.reason as Error) : (error as Error);
  } finally {
    clearTimeout(timer);
    clearInterval(pace);
    signal?.removeEventListener("abort", stop);
    controller.abort(new NetworkError("TIMEOUT", `object ${object.digest}: done with it`));
  }
}

/** A full disk here, or a defect of ours, is no mirror's fault. */
export function isFaultOfSource(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return !(
    error instanceof SystemError ||
    error instanceof TypeError ||
    error instanceof RangeError
  );
}

function isWorthAnother({ kind }: Fault, isLast: boolean, isPatient: boolean): boolean {
  if (kind === "busy") return true;
  return (kind === "unreachable" || kind === "slow") && (isPatient || !isLast);
}

/** The one that may be asked first; of several, the first of them. */
function next(turns: Turn[]): Turn | undefined {
  let first = 0;
  for (const [i, { notBefore }] of turns.entries()) {
    if (notBefore < turns[first]!.notBefore) first = i;
  }
  return turns.splice(first, 1)[0];
}

function again({ source, kind }: Fault, health: Health, tries: number): Turn {
  const later = Math.min(PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS);
  const pause =
    kind === "busy" ? health.busyMs(source) : kind === "slow" && tries === 1 ? 0 : later;
  return { source, isLast: true, tries, notBefore: performance.now() + pause };
}

async function sleepUntil(time: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const ms = time - performance.now();
  if (ms <= 0) return;
  await new Promise<void>((resolve, reject) => {
    const wake = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(wake, ms);
    signal?.addEventListener("abort", wake, { once: true });
  });
}

function allFailed(
  { digest }: WantedObject,
  sources: readonly ObjectSource[],
  faults: ReadonlyMap<ObjectSource, Fault>,
): FetchError {
  const failures = [...faults.values()].map(({ source, error }) => ({
    source: source.name,
    reason: error.message,
  }));
  if (failures.length === 0) {
    const names = sources.map(({ name }) => name).join(", ");
    return new FetchError("NO_SOURCE", `object ${digest}: in none of ${names || "no sources"}`);
  }
  const reasons = failures.map(({ source, reason }) =>
    reason.includes(source) ? reason : `${source}: ${reason}`,
  );
  const message = `object ${digest}: no source has it right: ${reasons.join("; ")}`;
  const cause = new AggregateError([...faults.values()].map(({ error }) => error));
  return new FetchError("ALL_FAILED", message, { failures, cause });
}

const seconds = (ms: number) => (ms / 1000).toFixed(1);
