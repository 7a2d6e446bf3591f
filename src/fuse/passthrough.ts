/**
 * FUSE passthrough: OPEN and RELEASE of servers that let the kernel read objects by itself, and how
 * high such a file system may count in a stack.
 *
 * @module
 */
import { BackingFiles } from "./backing-files.ts";
import { type Call, PAYLOAD } from "./call.ts";
import type { ObjectFile, ObjectPlace } from "./object-reader.ts";
import { type Operation, type Server, openImageFile, operation, operations } from "./operations.ts";
import type { Operations, Problem } from "./session.ts";
import type { SharedMemory } from "./thread-input.ts";
import { FUSE_ROOT_ID, OpenFlag, OpenOut, Opcode, ReleaseIn } from "./wire.ts";

/** What the operations work on besides. */
export interface WithBacking {
  readonly backing?: BackingFiles | undefined;
}

/** The handle of a file that the kernel reads by itself. */
const BACKED = 1n;

/**
 * A server's operations, by which the kernel reads by itself what it can. `objectOf` is the object of
 * the node that a request is about; undefined when it has none, or is none to be opened.
 */
export function withPassthrough<S extends WithBacking>(
  operations: Operations<S>,
  objectOf: (server: S, call: Call) => ObjectFile | undefined,
  openOtherwise: Operation<S>["handle"],
): Operations<S> {
  const open = (server: S, call: Call): number => {
    const file = objectOf(server, call);
    if (file !== undefined) call.beforeSlow();
    const backingId = file === undefined ? 0 : (server.backing?.open(file) ?? 0);
    if (backingId === 0) return openOtherwise(server, call);
    OpenOut.encodeInto(call.reply, PAYLOAD, {
      fh: BACKED,
      openFlags: OpenFlag.PASSTHROUGH | OpenFlag.NOFLUSH,
      backingId,
    });
    return OpenOut.size;
  };
  const release = (server: S, call: Call): number => {
    if (call.u64(ReleaseIn.offsets.fh) !== Number(BACKED)) return 0;
    const file = objectOf(server, call);
    if (file !== undefined) server.backing?.release(file.nid);
    return 0;
  };
  return new Map([
    ...operations,
    [Opcode.OPEN, operation("OPEN", "none", open)],
    [Opcode.RELEASE, operation("RELEASE", ReleaseIn, release)],
  ]);
}

/** The operations of an image ({@link operations}), with passthrough. */
export const backedOperations = withPassthrough<Server & WithBacking>(
  operations,
  ({ fs }, { nodeid }) => {
    const nid = nodeid === FUSE_ROOT_ID ? fs.rootNid : nodeid;
    return fs.isDirectory(nid) ? undefined : fs.objectOf(nid);
  },
  openImageFile,
);

/** The backing files of a thread; undefined when the kernel does not read objects by itself. */
export function backingOf(
  { fd, backing }: Pick<SharedMemory, "fd" | "backing">,
  places: readonly ObjectPlace[],
  tell: (problem: Problem) => void,
): BackingFiles | undefined {
  if (backing === undefined) return undefined;
  return new BackingFiles(fd, places, backing, ({ nid, digest }, reason) => {
    const message = `object ${digest}: checked block by block: ${reason}`;
    tell({ operation: "OPEN", nodeid: nid, message });
  });
}
