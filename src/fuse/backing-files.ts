/**
 * Objects that the kernel reads by itself once they are open (FUSE passthrough): promise `open`.
 * The whole object is compared with its digest when it is opened. It need not be hashed again at
 * the next open as long as the mount has held a file lease on it ever since, so that nobody can
 * have written to it, and its status is the same.
 *
 * The kernel wants one backing file for all openers of an inode, and an inode not to be both backed
 * and cached. So the threads of a mount share one table (`backing-table.ts`); an object that cannot
 * be a backing file is served block by block from then on, for as long as the mount lives.
 *
 * @module
 */
import { closeSync, fstatSync } from "node:fs";
import { IntegrityError, SystemError } from "../errors.ts";
import { closeBacking, openBacking } from "../sys/fuse-backing.ts";
import { dropLease, holdsLease, takeLease } from "../sys/file-lease.ts";
import { type BackingMemory, type BackingSlot, BackingTable } from "./backing-table.ts";
import {
  type ObjectFile,
  type ObjectPlace,
  ObjectUnavailable,
  type PlaceProblem,
} from "./object-reader.ts";
import { hashWhole, keyOf } from "./whole-object.ts";

/** Opening and closing backing files in the kernel; tests pass their own. */
export interface BackingCalls {
  readonly open: (device: number, file: number) => number;
  readonly close: (device: number, id: number) => void;
}

/** The backing files of one mount, as one thread sees them. */
export class BackingFiles {
  readonly #device: number;
  readonly #places: readonly ObjectPlace[];
  readonly #table: BackingTable;
  readonly #onFallback: (file: ObjectFile, reason: string) => void;
  readonly #calls: BackingCalls;

  constructor(
    device: number,
    places: readonly ObjectPlace[],
    memory: BackingMemory,
    onFallback: (file: ObjectFile, reason: string) => void,
    calls: BackingCalls = { open: openBacking, close: closeBacking },
  ) {
    this.#device = device;
    this.#places = places;
    this.#table = new BackingTable(memory);
    this.#onFallback = onFallback;
    this.#calls = calls;
  }

  /**
   * Verifies an object and opens it once more; returns its backing file for the answer to OPEN, to
   * be followed by {@link release}; 0 when it is to be served block by block.
   *
   * @throws {@link ObjectUnavailable} when no place has it as signed
   */
  open(file: ObjectFile): number {
    const slot = this.#table.claim(file.nid);
    if (slot === undefined || !slot.enter()) return 0;
    let isCached = false;
    try {
      return this.#openIn(slot, file);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "NO_PASSTHROUGH") throw error;
      // Not while it is open: the kernel would refuse to mix.
      if (slot.opens > 0) throw error;
      isCached = true;
      this.#onFallback(file, error.message);
      return 0;
    } finally {
      if (isCached) slot.leaveCached();
      else slot.leave();
    }
  }

  /** One of its openers has closed it. */
  release(nid: number): void {
    const slot = this.#table.find(nid);
    if (slot === undefined || !slot.enter()) return;
    if (slot.opens > 0) slot.opens -= 1;
    // Without its descriptor nothing is known about it any more.
    if (slot.opens === 0 && slot.fd === undefined) this.#forget(slot);
    slot.leave();
  }

  /** Gives up file leases that a writer waits for; the objects will be hashed again. */
  yieldFileLeases(): void {
    for (const fd of this.#table.descriptors()) if (!holdsLease(fd)) dropLease(fd);
  }

  #openIn(slot: BackingSlot, file: ObjectFile): number {
    const { fd } = slot;
    if (slot.backing !== 0) {
      if (fd !== undefined && holdsLease(fd) && slot.hasKey(keyOf(fd))) return opened(slot);
      if (slot.opens > 0) {
        this.#verifyOpen(slot, file);
        return opened(slot);
      }
      this.#forget(slot);
    }
    const problems: PlaceProblem[] = [];
    for (const place of this.#places) {
      let verified: number;
      try {
        verified = openVerified(slot, file, place);
      } catch (error) {
        problems.push({ where: place.path, error: error as Error });
        continue;
      }
      this.#back(slot, verified);
      return opened(slot);
    }
    throw new ObjectUnavailable(file, { start: 0, end: file.size }, problems);
  }

  /** The reader will get the file that others have open: it must be as signed, too. */
  #verifyOpen(slot: BackingSlot, file: ObjectFile): void {
    const { fd } = slot;
    const problems: PlaceProblem[] = [];
    if (fd !== undefined) {
      try {
        verify(slot, file, fd);
        return;
      } catch (error) {
        problems.push({ where: "the open file", error: error as Error });
      }
    } else {
      for (const place of this.#places) {
        try {
          this.#keep(slot, openVerified(slot, file, place, true));
          return;
        } catch (error) {
          problems.push({ where: place.path, error: error as Error });
        }
      }
    }
    throw new ObjectUnavailable(file, { start: 0, end: file.size }, problems);
  }

  /** Makes a verified file the backing file of a slot. */
  #back(slot: BackingSlot, fd: number): void {
    try {
      slot.backing = this.#calls.open(this.#device, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#keep(slot, fd);
  }

  /** Holds a descriptor, or closes it when there are too many: then the next open hashes again. */
  #keep(slot: BackingSlot, fd: number): void {
    if (this.#table.hold() || (this.#giveUpOne() && this.#table.hold())) slot.fd = fd;
    else closeSync(fd);
  }

  /** Gives up a file that nobody has open; false when none was found soon. */
  #giveUpOne(): boolean {
    const slot = this.#table.enterUnused();
    if (slot === undefined) return false;
    this.#forget(slot);
    slot.leave();
    return true;
  }

  /** Ends the backing file of a slot. */
  #forget(slot: BackingSlot): void {
    const { fd, backing } = slot;
    if (backing !== 0) this.#calls.close(this.#device, backing);
    slot.backing = 0;
    slot.fd = undefined;
    if (fd === undefined) return;
    closeSync(fd);
    this.#table.letGo();
  }
}

function opened(slot: BackingSlot): number {
  slot.opens += 1;
  return slot.backing;
}

/** Opens an object of a place and verifies it; with `isOpen` it has to be the file that is open. */
function openVerified(
  slot: BackingSlot,
  file: ObjectFile,
  place: ObjectPlace,
  isOpen = false,
): number {
  const { fd, size } = place.openFile(file.digest);
  try {
    if (size !== file.size) {
      throw new IntegrityError("SIZE_MISMATCH", `expected ${file.size} bytes, got ${size}`);
    }
    if (isOpen && !slot.isInode(keyOf(fd))) {
      throw new IntegrityError("DIGEST_MISMATCH", "another file is open in its place");
    }
    verify(slot, file, fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Hashes a file, under a lease where there is one, and remembers its status. */
function verify(slot: BackingSlot, file: ObjectFile, fd: number): void {
  const hasLease = takeLease(fd);
  let isGood = false;
  try {
    const before = keyOf(fd);
    const got = hashWhole(fd, file);
    if (got !== file.digest) throw new IntegrityError("DIGEST_MISMATCH", `content has ${got}`);
    const after = keyOf(fd);
    if (fstatSync(fd).size !== file.size || before.some((word, i) => word !== after[i])) {
      throw new IntegrityError("DIGEST_MISMATCH", "changed while it was read");
    }
    slot.setKey(after);
    isGood = true;
  } finally {
    // A writer should not wait for a file that is bad, or was written to already.
    if (hasLease && !(isGood && holdsLease(fd))) dropLease(fd);
  }
}
