/**
 * The two directories of a writable mount, `--upper` and `--work`: whether the kernel's overlay can
 * use them. The kernel itself says no more than `EINVAL`.
 *
 * @module
 */
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  realpathSync,
} from "node:fs";
import { requireUserDirectory } from "../../fs/user-directory.ts";
import { NotFoundError, UsageError } from "../../errors.ts";
import { errnoOf, failure } from "../../fs/failure.ts";
import { storeDirectories } from "../../store/layout.ts";
import { type MountInfo, mountOf } from "../table/mountinfo.ts";
import { isAtOrBelow } from "../table/target.ts";

/** Directories for what is changed in a mount, absolute. */
export interface WritablePlaces {
  readonly upper: string;
  readonly work: string;
}

/** Both directories, open. */
export interface OpenPlaces {
  readonly upper: number;
  readonly work: number;
  close(): void;
}

/** What overlayfs makes in a work directory. */
const workEntries: ReadonlySet<string> = new Set(["work", "index"]);

/**
 * Opens both directories.
 *
 * @throws {@link NotFoundError} `NO_FILE`, {@link UsageError} or {@link SystemError} that names the option
 *   and what is wrong with its directory
 */
export function openPlaces({ upper, work }: WritablePlaces): OpenPlaces {
  const fds: number[] = [];
  const close = () => {
    for (const fd of fds.splice(0)) closeSync(fd);
  };
  try {
    for (const [option, path] of [
      ["--upper", upper],
      ["--work", work],
    ] as const) {
      // prettier-ignore
      fds.push(openDirectory(`${option} ${path}`, path));
    }
    const [upperFd, workFd] = fds as [number, number];
    checkApart({ upper, work }, upperFd, workFd);
    checkTogether({ upper, work }, mountOf(upperFd), mountOf(workFd));
    checkWork(work);
    return { upper: upperFd, work: workFd, close };
  } catch (error) {
    close();
    throw error;
  }
}

function openDirectory(what: string, path: string): number {
  try {
    requireUserDirectory(path, what);
    accessSync(path, constants.W_OK); // also says when the file system is read-only
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw failure(what, error);
    throw new NotFoundError("NO_FILE", `${what}: not there`, {
      hint: `make it with: mkdir ${path}`,
    });
  }
}

/**
 * Makes sure that changes do not go into a store.
 *
 * @throws {@link UsageError} for a directory with a store in it, or in one of a store's own
 */
export function checkOutsideStores(places: WritablePlaces, stores: readonly string[]): void {
  for (const name of ["upper", "work"] as const) {
    const path = realpathSync(places[name]);
    const store = stores.find((each) => {
      const real = realpathSync(each);
      const isInside = storeDirectories.some((own) => isAtOrBelow(path, `${real}/${own}`));
      return isInside || isAtOrBelow(real, path);
    });
    if (store === undefined) continue;
    throw new UsageError(
      "USAGE",
      `--${name} ${places[name]}: expected a directory apart from the store ${store}`,
      { hint: "changes would be made to the store itself" },
    );
  }
}

/** Neither is the other, nor lies in it. */
function checkApart(places: WritablePlaces, upperFd: number, workFd: number): void {
  const [a, b] = [fstatSync(upperFd), fstatSync(workFd)];
  const [upper, work] = [realpathSync(places.upper), realpathSync(places.work)];
  const isSame = a.dev === b.dev && a.ino === b.ino;
  const hint = "make them beside each other, as in --upper DIR/upper --work DIR/work";
  const relation = isSame
    ? "is the directory of"
    : isAtOrBelow(work, upper)
      ? "lies inside"
      : isAtOrBelow(upper, work)
        ? "contains"
        : undefined;
  if (relation === undefined) return;
  throw new UsageError(
    "USAGE",
    `--work ${places.work}: expected a directory apart from --upper, but it ${relation} --upper ${places.upper}`,
    { hint },
  );
}

/** The kernel moves files from one to the other. */
function checkTogether(places: WritablePlaces, upper?: MountInfo, work?: MountInfo): void {
  if (upper === undefined || work === undefined || upper.id === work.id) return;
  const place = ({ type, target }: MountInfo) => `${type} at ${target}`;
  const what =
    upper.device === work.device
      ? "which is another mount of the same file system"
      : "which is another file system";
  throw new UsageError(
    "USAGE",
    `--work ${places.work}: expected it on the mount of --upper (${place(upper)}), but it is on ${place(work)}, ${what}`,
    { hint: `make it beside --upper: mkdir ${places.upper}.work` },
  );
}

/** The kernel empties what is called `work` there. */
function checkWork(work: string): void {
  const others = readdirSync(work).filter((name) => !workEntries.has(name));
  if (others.length === 0) return;
  throw new UsageError(
    "USAGE",
    `--work ${work}: expected an empty directory, found ${JSON.stringify(others[0])} in it`,
    { hint: "the kernel keeps temporary files there: give it a directory of its own" },
  );
}
