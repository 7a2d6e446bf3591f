/**
 * POSIX ACLs as the value of an extended attribute, in the form that the kernel takes
 * (include/uapi/linux/posix_acl_xattr.h): `u32 version`, then `u16 tag, u16 permissions, u32 id` for each
 * entry, in the order of the tags.
 *
 * @module
 */
import type { ByteString } from "../bytes/bytestring.ts";
import { toBytes } from "../bytes/bytestring.ts";
import { struct, u16, u32 } from "../bytes/struct.ts";

const Header = struct("posix_acl_xattr_header", 4, { version: u32 });
const Entry = struct("posix_acl_xattr_entry", 8, { tag: u16, perm: u16, id: u32 });

const VERSION = 2;
const USER_OBJ = 0x01;
const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;
/** In their order. */
const tags: readonly number[] = [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER];
const NO_ID = 0xffffffff;

/** Why the kernel would not take the ACL; undefined when it would. */
export function aclFault(value: ByteString): string | undefined {
  const bytes = toBytes(value);
  const length = bytes.length - Header.size;
  if (length <= 0 || length % Entry.size !== 0)
    return `${bytes.length} bytes are no list of entries`;
  const { version } = Header.decode(bytes);
  if (version !== VERSION) return `expected version ${VERSION}, got ${version}`;
  const count = new Map<number, number>();
  let last = 0;
  for (let at = Header.size; at < bytes.length; at += Entry.size) {
    const { tag, perm, id } = Entry.decode(bytes, at);
    const place = tags.indexOf(tag);
    if (place < 0) return `unknown tag 0x${tag.toString(16)}`;
    if (place < last) return "its entries are not in order";
    if (perm > 7) return `unknown permissions 0x${perm.toString(16)}`;
    if ((tag === USER || tag === GROUP) && id === NO_ID) return "an entry names nobody";
    last = place;
    count.set(tag, (count.get(tag) ?? 0) + 1);
  }
  const of = (tag: number) => count.get(tag) ?? 0;
  if ([USER_OBJ, GROUP_OBJ, OTHER].some((tag) => of(tag) !== 1)) {
    return "expected one entry each for owner, group and others";
  }
  const needsMask = of(USER) + of(GROUP) > 0;
  if (of(MASK) > 1 || (needsMask && of(MASK) === 0)) return "expected one mask";
  return undefined;
}
