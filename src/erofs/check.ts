/**
 * Whether an image obeys every rule of `image-rules.ts`. Mounting and fetching begin with this
 * check: an image that passes has nothing that two readers could understand differently. Memory and
 * time are linear in the size of the file, whatever its content; there is no recursion.
 *
 * Spec: docs/image-format.md, "Rules of the checker".
 *
 * @module
 */
import { printable } from "../bytes/bytestring.ts";
import { limits } from "../limits.ts";
import { S_IFDIR, S_IFMT } from "../tree/inode.ts";
import { ContentRules } from "./check-content.ts";
import { type CheckedDirent, checkDirectory, modeTypeOf } from "./check-directory.ts";
import { checkHeaders } from "./check-headers.ts";
import { XattrRules } from "./check-xattrs.ts";
import {
  COMPOSEFS_HAS_ACL,
  ComposefsHeader,
  INODES_OFFSET,
  InodeCompact,
  SLOT_SIZE,
  SUPERBLOCK_OFFSET,
  Superblock,
} from "./format.ts";
import { Image, type ImageInode } from "./image.ts";
import { type ImageProblem, ImageRuleError, rule, under } from "./image-rules.ts";
import { OPAQUE } from "./overlay-xattrs.ts";
import { SpaceMap } from "./space-map.ts";
import { isWhiteout } from "./view.ts";

export { type ImageProblem, type ImageRule, ImageRuleError, imageRules } from "./image-rules.ts";

/**
 * Goes up whenever an image that passed before may not pass any more: clients remember which images
 * have passed, and check again what only an older checker has seen.
 */
export const CHECKER_VERSION = 3;

/** The first rule that an image breaks, or undefined when it obeys all of them. */
export function checkImage(bytes: Uint8Array): ImageProblem | undefined {
  try {
    verifyImage(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof ImageRuleError) return error;
    throw error;
  }
}

/**
 * Opens an image that obeys every rule.
 *
 * @throws {@link ImageRuleError} (a `FormatError`) for the first rule that it breaks
 */
export function verifyImage(bytes: Uint8Array): Image {
  checkHeaders(bytes);
  const image = Image.open(bytes);
  new ImageChecker(image).check();
  return image;
}

/** Names in the root that hide the directories of the object store; a real file may have one. */
const stubName = /^[0-9a-f]{2}$/;
const STUBS = 256;
const knownTypes = new Set(modeTypeOf.values());

/** A directory whose entries are still to be checked. */
interface Pending {
  readonly inode: ImageInode;
  /** Index of the parent in the queue; the root is its own. */
  readonly parent: number;
  readonly depth: number;
  /** Bytes of its path. */
  readonly pathLength: number;
}

/** One walk over all inodes, breadth first. */
class ImageChecker {
  readonly #image: Image;
  readonly #view: DataView;
  readonly #space: SpaceMap;
  readonly #xattrs: XattrRules;
  readonly #content: ContentRules;
  readonly #queue: Pending[] = [];
  /** Files with more than one link: names found so far, and expected. */
  readonly #links = new Map<number, { found: number; expected: number }>();
  /** Inode numbers met. */
  readonly #numbers: Uint8Array;
  #inodes = 0;
  #inodesEnd = INODES_OFFSET;
  #oldest: { seconds: bigint; nanoseconds: number } | undefined;

  constructor(image: Image) {
    const { bytes } = image;
    this.#image = image;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#space = new SpaceMap(bytes);
    this.#xattrs = new XattrRules(image, this.#view);
    this.#content = new ContentRules(bytes, this.#view, this.#space);
    this.#numbers = new Uint8Array(
      Math.min(Number(image.superblock.inos), bytes.length / SLOT_SIZE),
    );
  }

  check(): void {
    this.#space.claim(0, INODES_OFFSET);
    this.#checkRoot();
    for (let i = 0; i < this.#queue.length; i++) this.#checkEntries(i);
    this.#checkLinks();
    this.#checkTotals();
    this.#xattrs.checkTable(this.#inodesEnd, this.#space);
    this.#space.expectUnownedZero(INODES_OFFSET);
  }

  #checkRoot(): void {
    const at = SUPERBLOCK_OFFSET + Superblock.offsets.rootNid;
    const root = under("superblock.root", at, () => this.#image.root);
    rule("superblock.root", (root.mode & S_IFMT) === S_IFDIR, at, () => {
      return `nid ${root.nid}: expected a directory, got mode ${root.mode.toString(8)}`;
    });
    this.#checkInode(root);
    const isOpaque = this.#image.storedXattrs(root).has(OPAQUE);
    rule("root.opaque", isOpaque, root.offset, () => `nid ${root.nid} lacks ${OPAQUE}`);
    this.#queue.push({ inode: root, parent: 0, depth: 0, pathLength: 0 });
  }

  #checkEntries(index: number): void {
    const directory = this.#queue[index]!;
    const { inode, parent, depth, pathLength } = directory;
    const parentNid = this.#queue[parent]!.inode.nid;
    let subdirectories = 0;
    let stubNames = 0;
    for (const entry of checkDirectory(this.#image.bytes, this.#view, inode, parentNid)) {
      if (stubName.test(entry.name)) stubNames++;
      const child = this.#checkEntry(index, entry);
      if (child === undefined) continue;
      subdirectories++;
      const length = pathLength + 1 + entry.name.length;
      const fits = depth < limits.depth && length <= limits.pathBytes;
      rule(
        "directory.depth",
        fits,
        entry.offset,
        () => `level ${depth + 1}, a path of ${length} bytes`,
        "LIMIT",
      );
      this.#queue.push({ inode: child, parent: index, depth: depth + 1, pathLength: length });
    }
    this.#expectLinks(inode, 2 + subdirectories);
    if (index !== 0) return;
    rule("root.stubs", stubNames === STUBS, inode.offset, () => {
      return `expected the ${STUBS} names 00 to ff, got ${stubNames} of them`;
    });
  }

  /** Checks one name and, when it is the first of its inode, the inode; returns new directories. */
  #checkEntry(parent: number, entry: CheckedDirent): ImageInode | undefined {
    const { nid, name, offset, fileType } = entry;
    const inode = under("inode.range", offset, () => this.#image.inode(nid));
    const type = inode.mode & S_IFMT;
    rule("inode.type", knownTypes.has(type), inode.offset + InodeCompact.offsets.mode, () => {
      return `${printable(name)}: unknown type in mode ${inode.mode.toString(8)}`;
    });
    rule("directory.type", modeTypeOf.get(fileType) === type, offset, () => {
      return `${printable(name)}: type ${fileType}, but mode ${inode.mode.toString(8)}`;
    });
    const isStub = parent === 0 && stubName.test(name);
    rule("whiteout.device", isStub || !isWhiteout(inode), offset, () => {
      return `${printable(name)} is a device 0:0`;
    });
    if (this.#space.hasInode(nid)) {
      if (type === S_IFDIR) this.#refuseSecondParent(parent, entry);
      this.#countLink(inode, entry);
      return undefined;
    }
    this.#checkInode(inode);
    if (type === S_IFDIR) return inode;
    if (inode.nlink !== 1) this.#links.set(nid, { found: 1, expected: inode.nlink });
    return undefined;
  }

  #refuseSecondParent(parent: number, { nid, name, offset }: CheckedDirent): never {
    let isAncestor = false;
    for (let i = parent; ; i = this.#queue[i]!.parent) {
      isAncestor ||= this.#queue[i]!.inode.nid === nid;
      if (i === 0) break;
    }
    throw isAncestor
      ? new ImageRuleError("directory.loop", offset, `${printable(name)} leads to its parent`)
      : new ImageRuleError("directory.parents", offset, `${printable(name)} is its second name`);
  }

  #countLink(inode: ImageInode, { name, offset }: CheckedDirent): void {
    const links = this.#links.get(inode.nid);
    rule("inode.links", links !== undefined && links.found < links.expected, offset, () => {
      return `${printable(name)}: nid ${inode.nid} has more names than its ${inode.nlink} links`;
    });
    links.found++;
  }

  #checkLinks(): void {
    for (const [nid, { found, expected }] of this.#links) {
      rule("inode.links", found === expected, nid * SLOT_SIZE, () => {
        return `nid ${nid}: expected ${found}, got ${expected}`;
      });
    }
  }

  #expectLinks(inode: ImageInode, expected: number): void {
    rule("inode.links", inode.nlink === expected, inode.offset, () => {
      return `directory ${inode.nid}: expected ${expected}, got ${inode.nlink}`;
    });
  }

  #checkInode(inode: ImageInode): void {
    this.#content.checkFields(inode);
    const xattrs = this.#xattrs.check(inode);
    const end = this.#content.checkContent(inode, xattrs);
    this.#inodes++;
    this.#inodesEnd = Math.max(this.#inodesEnd, Math.ceil(end / SLOT_SIZE) * SLOT_SIZE);
    this.#checkNumber(inode);
    this.#noteTime(inode);
  }

  #checkNumber(inode: ImageInode): void {
    const { ino, offset } = inode;
    const at = offset + InodeCompact.offsets.ino;
    rule("inode.number", ino < this.#numbers.length && this.#numbers[ino] === 0, at, () => {
      return ino < this.#numbers.length
        ? `${ino} is taken`
        : `expected less than ${this.#numbers.length}, got ${ino}`;
    });
    this.#numbers[ino] = 1;
  }

  #noteTime(inode: ImageInode): void {
    const { mtimeSeconds: seconds, mtimeNanoseconds: nanoseconds } = inode;
    const oldest = this.#oldest;
    if (
      oldest === undefined ||
      seconds < oldest.seconds ||
      (seconds === oldest.seconds && nanoseconds < oldest.nanoseconds)
    ) {
      this.#oldest = { seconds, nanoseconds };
    }
  }

  /** What only the whole walk can tell. */
  #checkTotals(): void {
    const { superblock, header } = this.#image;
    const inosAt = SUPERBLOCK_OFFSET + Superblock.offsets.inos;
    rule("superblock.inodes", superblock.inos === BigInt(this.#inodes), inosAt, () => {
      return `expected ${this.#inodes}, got ${superblock.inos}`;
    });
    const { seconds, nanoseconds } = this.#oldest!;
    rule(
      "superblock.build-time",
      superblock.buildTime === seconds && superblock.buildTimeNsec === nanoseconds,
      SUPERBLOCK_OFFSET + Superblock.offsets.buildTime,
      () => `expected ${seconds} s ${nanoseconds} ns, the oldest inode's`,
    );
    const flag = this.#xattrs.hasAcl ? COMPOSEFS_HAS_ACL : 0;
    rule("header.flags", header.flags === flag, ComposefsHeader.offsets.flags, () => {
      return `expected ${flag}, got ${header.flags}`;
    });
  }
}
