/**
 * fs-verity on files before they are published: an object is protected from the moment that it has
 * its name, also when the machine stops in between.
 *
 * @module
 */
import { closeSync, constants, fchmodSync } from "node:fs";
import { IntegrityError, SystemError } from "../errors.ts";
import type { HeldDirectory } from "../fs/held-directory.ts";
import { enableVerity, measureVerity } from "../sys/fsverity.ts";
import { hasLibc } from "../sys/koffi.ts";
import { type VerityDigest, algorithmOf } from "../verity/verity-digest.ts";

const MODE = 0o444;

/** Asks the file system once whether it has fs-verity, at the first file. */
export class StagedVerity {
  #isPossible = hasLibc();

  /**
   * Turns it on for a file that is no longer written to. False where the kernel or the file system
   * lack it: nothing has changed then.
   *
   * @throws {@link IntegrityError} `DIGEST_MISMATCH` when the kernel finds another digest
   * @throws {@link SystemError} `NO_SPACE`, `IO`, `PERMISSION`
   */
  protect(files: HeldDirectory, name: string, digest: VerityDigest): boolean {
    if (!this.#isPossible) return false;
    try {
      this.#enable(files, name, digest);
      return true;
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "NO_VERITY") throw error;
      this.#isPossible = false;
      return false;
    }
  }

  #enable(files: HeldDirectory, name: string, digest: VerityDigest): void {
    const fd = files.open(name, constants.O_RDONLY);
    try {
      try {
        enableVerity(fd, algorithmOf(digest));
      } catch (error) {
        if (!(error instanceof SystemError) || error.code !== "PERMISSION") throw error;
        // The kernel asks for the right to write, which a file of mode 0444 gives to root alone.
        fchmodSync(fd, MODE | 0o200);
        enableVerity(fd, algorithmOf(digest));
        fchmodSync(fd, MODE);
      }
      const measured = measureVerity(fd);
      if (measured === digest) return;
      throw new IntegrityError(
        "DIGEST_MISMATCH",
        `object ${digest}: the kernel measures ${measured ?? "no fs-verity"} as it is staged`,
      );
    } finally {
      closeSync(fd);
    }
  }
}
