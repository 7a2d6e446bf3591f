/**
 * The objects of a store for as long as a mount lives: their directory is opened once, and whatever
 * happens to names above it later, objects are looked up from there.
 *
 * @module
 */
import { constants, lstatSync, openSync } from "node:fs";
import { IntegrityError, NotFoundError } from "../errors.ts";
import { type VerityDigest, objectPath } from "../verity/verity-digest.ts";
import { openBeneath } from "../sys/open-beneath.ts";
import { failure } from "../fs/failure.ts";
import { type OpenFile, openRegular } from "../fs/regular-file.ts";
import type { ObjectStore } from "./objects.ts";

const FAN_OUT = "ab/".length;

/**
 * A descriptor of the `objects/` directory, for all threads of this process.
 *
 * @throws {@link SystemError} when it cannot be opened
 */
export function holdObjects({ directory }: Pick<ObjectStore, "directory">): number {
  try {
    return openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw failure(directory, error);
  }
}

/** A held `objects/` directory. */
export class HeldObjects {
  readonly directory: string;
  readonly #fd: number;
  readonly #root: string;

  /** `fd` is a descriptor from {@link holdObjects}, which is never closed. */
  constructor(objects: Pick<ObjectStore, "directory">, fd = holdObjects(objects)) {
    this.directory = objects.directory;
    this.#fd = fd;
    this.#root = `/proc/self/fd/${fd}/`;
  }

  /**
   * Opens an object for reading, through no symlinks; the content is unchecked. The caller closes the
   * descriptor.
   *
   * @throws {@link NotFoundError} `NO_OBJECT`; {@link IntegrityError} `WRONG_TYPE` when it is no
   *   regular file; {@link SystemError} when the system cannot open it
   */
  openFile(digest: VerityDigest): OpenFile {
    const opened = openBeneath(this.#fd, objectPath(digest));
    if (opened !== undefined) return opened;
    const what = `object ${digest}`;
    const path = this.#root + objectPath(digest);
    const folder = path.slice(0, this.#root.length + FAN_OUT - 1);
    try {
      if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
        throw new IntegrityError(
          "WRONG_TYPE",
          `${what}: expected a directory on the way, got a symbolic link`,
        );
      }
      return openRegular(path, what);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      throw new NotFoundError("NO_OBJECT", `${what}: not in ${this.directory}`, { cause: error });
    }
  }
}
