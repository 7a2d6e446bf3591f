/**
 * fs-verity of files: the kernel makes a file read-only for ever and checks every page of it when it
 * is read from the disk (fs-verity kernel documentation, "FS_IOC_ENABLE_VERITY" and
 * "FS_IOC_MEASURE_VERITY").
 *
 * @module
 */
import { raw, struct, u32, u64 } from "../bytes/struct.ts";
import { SystemError } from "../errors.ts";
import {
  VERITY_BLOCK_SIZE,
  type VerityAlgorithm,
  type VerityDigest,
  parseVerityDigest,
  verityAlgorithms,
} from "../verity/verity-digest.ts";
import { errnoError, errnoName, lazy, loadLibc } from "./koffi.ts";

const FS_IOC_ENABLE_VERITY = 0x40806685;
const FS_IOC_MEASURE_VERITY = 0xc0046686;
const MOST_DIGEST_BYTES = 64;

const EnableArgument = struct("fsverity_enable_arg", 128, {
  version: u32,
  hashAlgorithm: u32,
  blockSize: u32,
  saltSize: u32,
  salt: u64,
  signatureSize: u32,
  reserved1: u32,
  signature: u64,
  reserved2: raw(88),
});

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    ioctl: libc.func<[number, number, Uint8Array]>(
      "int ioctl(int fd, unsigned long request, void *argument)",
    ),
    errno: () => libc.errno(),
  };
});

/**
 * The fs-verity digest that the kernel enforces for an open file; undefined when it enforces none.
 *
 * @throws {@link SystemError} `NO_VERITY` when kernel or file system have no fs-verity; `IO` for a
 *   hash algorithm that sealfs does not know
 */
export function measureVerity(fd: number): VerityDigest | undefined {
  const digest = new Uint8Array(4 + MOST_DIGEST_BYTES);
  const view = new DataView(digest.buffer);
  view.setUint16(2, MOST_DIGEST_BYTES, true); // these ioctls are of little-endian machines here
  if (calls().ioctl(fd, FS_IOC_MEASURE_VERITY, digest) !== 0) {
    const errno = calls().errno();
    if (errnoName(errno) === "ENODATA") return undefined;
    throw verityError(errno, "measure fs-verity");
  }
  const known = Object.values(verityAlgorithms).find(({ id }) => id === view.getUint16(0, true));
  if (known?.digestSize !== view.getUint16(2, true)) {
    throw new SystemError("IO", `fs-verity: unknown algorithm ${view.getUint16(0, true)}`);
  }
  return parseVerityDigest(Buffer.from(digest.subarray(4, 4 + known.digestSize)).toString("hex"));
}

/**
 * Turns fs-verity on for the file open (for reading) as `fd`, with blocks of 4096 bytes and no salt.
 * Returns false when it was on already. Nobody may have the file open for writing.
 *
 * @throws {@link SystemError} `NO_VERITY` when kernel or file system have no fs-verity; `READ_ONLY`,
 *   `PERMISSION`, `BUSY`, `IO`
 */
export function enableVerity(fd: number, algorithm: VerityAlgorithm): boolean {
  const argument = EnableArgument.encode({
    version: 1,
    hashAlgorithm: verityAlgorithms[algorithm].id,
    blockSize: VERITY_BLOCK_SIZE,
    saltSize: 0,
    salt: 0n,
    signatureSize: 0,
    reserved1: 0,
    signature: 0n,
    reserved2: new Uint8Array(88),
  });
  if (calls().ioctl(fd, FS_IOC_ENABLE_VERITY, argument) === 0) return true;
  const errno = calls().errno();
  if (errnoName(errno) === "EEXIST") return false;
  throw verityError(errno, "enable fs-verity");
}

function verityError(errno: number, what: string): Error {
  switch (errnoName(errno)) {
    case "ENOTTY":
      return new SystemError("NO_VERITY", `${what}: the file system has none (ENOTTY)`);
    case "EOPNOTSUPP":
    case "ENOTSUP":
      return new SystemError("NO_VERITY", `${what}: kernel or file system have none (EOPNOTSUPP)`, {
        hint: "ext4 needs the feature verity: tune2fs -O verity DEVICE",
      });
    case "EINVAL": // a block size that this kernel cannot do, or a file system that is puzzled
    case "ENOSYS":
    case "ENOPKG": // no such hash algorithm
    case "EFBIG":
      return new SystemError("NO_VERITY", `${what}: not possible here (${errnoName(errno)})`);
    case "ETXTBSY":
      return new SystemError("BUSY", `${what}: the file is open for writing (ETXTBSY)`);
    default:
      return errnoError(errno, what);
  }
}
