/**
 * What a client remembers: the highest version that it has verified of each name and platform, the
 * highest version of each policy, the latest time that was signed, and which images it has checked
 * (`checked-images.ts`). The place is the client's own, never the store:
 *
 * - `--state DIR`, else `$SEALFS_STATE`; `none` for no memory;
 * - else `/var/lib/sealfs` for root, `$XDG_STATE_HOME/sealfs` or `~/.local/state/sealfs` for
 *   others, root of a user namespace included.
 *
 * Each policy has names of its own, so that two policies on one machine do not disturb each other;
 * plain keys share one memory.
 *
 * Spec: docs/statement.md, "What a client remembers".
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Stats, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { TrustError } from "../errors.ts";
import { errnoOf, failure } from "../fs/failure.ts";
import { rootStateDirectory, userStateDirectory } from "../fs/own-directory.ts";
import { type Mark, type Marks, verifyProgress } from "../trust/high-water.ts";
import { type Platform, formatPlatform } from "../platform/platform.ts";
import type { Statement } from "../trust/statement.ts";
import type { TrustPolicy } from "../trust/policy.ts";
import { type VerifiedImage, markFor } from "./verified-image.ts";
import { CheckedImages } from "./checked-images.ts";
import { type KeptMark, readMark, unreadable, writeMark } from "./mark-file.ts";

/** The value that turns the memory off. */
const NO_STATE = "none";
/** What the mark of a time is about. */
const CREATED = "latest creation";

type Remembered = Pick<VerifiedImage, "progress"> & {
  readonly statement: Pick<Statement, "name" | "platform" | "created" | "version" | "sha256">;
};

/** The memory in one folder. */
export class TrustState {
  /** Absolute path; it need not exist. */
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /**
   * The memory that options and environment name; undefined when it is turned off.
   *
   * @throws {@link TrustError} `BAD_STATE` when another user could make it forget
   */
  static open(option: string | undefined, env = process.env): TrustState | undefined {
    const place = option ?? env["SEALFS_STATE"] ?? "";
    if (place === NO_STATE) return undefined;
    const state = new TrustState(place === "" ? defaultPlace(env) : place);
    refuseOthers(state.path);
    return state;
  }

  /** The images that need no second check of their format. */
  get checked(): CheckedImages {
    return new CheckedImages(this.path);
  }

  /**
   * The marks of a name that a statement for `platform` is compared with.
   *
   * @throws {@link TrustError} `BAD_STATE`
   */
  marksOf(
    name: string,
    policy: TrustPolicy,
    platform: Platform | undefined,
  ): Marks & { readonly own: KeptMark | undefined } {
    const [folder, about] = this.#place("names", name, policy);
    const marks = (folders: readonly string[]) =>
      folders.flatMap((each) => readMark(each, about) ?? []);
    if (platform === undefined) {
      return { own: readMark(folder, about), others: marks(platformsIn(folder)) };
    }
    return { own: readMark(folderFor(folder, platform), about), others: marks([folder]) };
  }

  /**
   * Remembers what was fully verified, and when it was created; nothing when no name was asked for.
   *
   * @throws {@link TrustError} `STATE_NOT_KEPT`; `EQUIVOCATION` or `ROLLBACK` when another process
   *   has just verified another image with the same version, or a higher version
   */
  remember({ progress, statement }: Remembered, policy: TrustPolicy, now: Date): void {
    if (progress !== "first" && progress !== "newer") return;
    const { name, platform, created } = statement;
    const mark = markFor(statement, policy);
    const [folder, about] = this.#place("names", name, policy);
    const own = platform === undefined ? folder : folderFor(folder, platform);
    const existing = writeMark(own, mark, about, now);
    verifyProgress(mark, { own: existing, others: [] }, name);
    // A mark written between the comparison and now counts, too.
    verifyProgress(mark, this.marksOf(name, policy, platform), name);
    this.#rememberTime(policy, mark, created, now);
  }

  /**
   * The latest time of creation of what was verified by this policy: it was not earlier then.
   *
   * @throws {@link TrustError} `BAD_STATE`
   */
  latestTime(policy: TrustPolicy): Date | undefined {
    const mark = readMark(...this.#place("times", CREATED, policy));
    return mark && new Date(mark.version * 1000);
  }

  #rememberTime(policy: TrustPolicy, { sha256 }: Mark, created: Date, now: Date): void {
    const latest = this.latestTime(policy);
    if (latest !== undefined && created <= latest) return;
    const version = created.getTime() / 1000;
    const [folder, about] = this.#place("times", CREATED, policy);
    writeMark(folder, { epoch: 0, version, sha256 }, about, now);
  }

  /** The mark of a policy: its version; as {@link markOf}. */
  policyMark(name: string): KeptMark | undefined {
    return readMark(...this.#place("policies", name));
  }

  /** Remembers the version of a policy that is in force; as {@link remember}. */
  rememberPolicy(name: string, mark: Mark, now: Date): void {
    const [folder, about] = this.#place("policies", name);
    writeMark(folder, mark, about, now);
  }

  #place(kind: string, name: string, policy?: TrustPolicy): [folder: string, about: string] {
    const scope = policy?.content?.name ?? "";
    // Names may be longer than a file name, and hold slashes. Neither text holds a newline.
    const hash = createHash("sha256").update(`${scope}\n${name}`).digest("hex");
    return [join(this.path, kind, hash), name];
  }
}

/** Marks of a platform lie below those of the name: `linux~arm64~v8`. */
function folderFor(folder: string, platform: Platform): string {
  return join(folder, formatPlatform(platform).replaceAll("/", "~"));
}

function platformsIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && entry.name.includes("~"))
      .map(({ name }) => join(folder, name));
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return [];
    throw unreadable(folder, cause);
  }
}

function defaultPlace(env: NodeJS.ProcessEnv): string {
  const ofRoot = process.geteuid?.() === 0 ? rootStateDirectory() : undefined;
  return ofRoot ?? userStateDirectory(env);
}

/** A memory that another user can write to remembers what they like. */
function refuseOthers(path: string): void {
  const stat = statOf(path);
  if (stat === undefined) return;
  const isForeign = stat.uid !== 0 && stat.uid !== process.geteuid?.();
  if (!isForeign && (stat.mode & 0o002) === 0) return;
  const why = isForeign ? `belongs to the user ${stat.uid}` : "can be written to by every user";
  throw new TrustError("BAD_STATE", `memory of versions in ${path}: ${why}`, {
    hint: "an older image could be made to look new: name a directory of your own with --state",
  });
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw new TrustError("BAD_STATE", failure(`memory of versions in ${path}`, cause).message, {
      cause,
      hint: "name a directory of your own with --state; by default HOME or XDG_STATE_HOME says where",
    });
  }
}
