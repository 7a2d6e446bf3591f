/**
 * The directories of a writable mount, made ready before it: they can be used, nobody else uses them, and
 * what was kept in them fits the image.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { printable } from "../../bytes/bytestring.ts";
import type { Image } from "../../erofs/image.ts";
import { UsageError } from "../../errors.ts";
import { Stores } from "../../store/stores.ts";
import type { VerityDigest } from "../../verity/verity-digest.ts";
import { type WritablePlaces, checkOutsideStores, openPlaces } from "./upper-places.ts";
import { forgetImage, recordImage, recordedImage } from "./upper-record.ts";
import { checkNesting } from "./upper-nesting.ts";
import { takePlaces } from "./upper-use.ts";
import { type Rebased, firstBorrowed, rebaseUpper } from "./rebase.ts";

/** What the user asks for. */
export interface UpperOptions extends WritablePlaces {
  /** Take an upper directory that was used with another image over to this one. */
  readonly rebase: boolean;
}

/** The image to be mounted. */
export interface UpperImage {
  /** Its owners are shown as others. */
  readonly idmapped: boolean;
  readonly digest: VerityDigest;
  readonly get: () => Image;
  /** Stores, which may have the old image too. */
  readonly stores: readonly string[];
}

/** Directories that are this mount's own. */
export interface Upper {
  /** Its root is still as the user has made it, and gets the attributes of the image's. */
  readonly isNew: boolean;
  /** How many files have become its own, where it was taken over from another image. */
  readonly completed: number | undefined;
  /** The mount is there: what it says from now on is this image's. */
  keep(): void;
  /** Lets go of the directories. */
  close(): void;
}

/**
 * Makes the directories ready; they are this process's until they are closed.
 *
 * @throws {@link UsageError} when the upper directory belongs to another image, or to an unknown one;
 *   {@link NotFoundError}, {@link SystemError} what is wrong with a directory
 */
export async function openUpper(options: UpperOptions, image: UpperImage): Promise<Upper> {
  const open = openPlaces(options);
  try {
    checkOutsideStores(options, image.stores);
    await takePlaces(open, options);
    checkNesting(options);
    const { upper, rebase } = options;
    const recorded = recordedImage(upper);
    let rebased: Rebased | undefined;
    if (recorded === undefined) refuseUnknown(upper);
    else if (recorded !== image.digest && readdirSync(upper).length > 0) {
      if (!rebase) throw ofAnother(upper, recorded, image.digest);
      rebased = rebaseUpper(
        upper,
        recorded,
        image.get(),
        Stores.open(image.stores),
        !image.idmapped,
      );
    }
    recordImage(upper, image.digest);
    let isKept = recorded !== undefined;
    return {
      isNew: recorded !== image.digest && rebased?.hasOldRoot !== false,
      completed: rebased?.completed,
      keep: () => (isKept = true),
      close: () => {
        if (!isKept) forgetImage(upper);
        open.close();
      },
    };
  } catch (error) {
    open.close();
    throw error;
  }
}

function ofAnother(upper: string, recorded: VerityDigest, digest: VerityDigest): UsageError {
  return new UsageError(
    "USAGE",
    `--upper ${upper}: belongs to the image ${recorded}, and this one is ${digest}`,
    {
      hint: "--rebase-upper takes its changes over to this image; an empty directory starts without changes",
    },
  );
}

/** Files that somebody has put there are welcome, but not what refers to an image that nobody knows. */
function refuseUnknown(upper: string): void {
  const borrowed = firstBorrowed(upper);
  if (borrowed === undefined) return;
  const what = borrowed.kind === "content" ? "has its content in" : "is a renamed directory of";
  throw new UsageError(
    "USAGE",
    `--upper ${upper}: ${printable(borrowed.shown)} ${what} an image, and which one is not recorded`,
    { hint: "start with an empty directory" },
  );
}
