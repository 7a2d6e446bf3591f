/**
 * FUSE passthrough: OPEN and RELEASE of servers that let the kernel read objects by itself. Which
 * stack of file systems allows that, `stack-depth.ts` finds out.
 *
 * @module
 */
import { BackingFiles } from "./backing-files.ts";
import { type Call, PAYLOAD } from "./call.ts";
import type { ObjectFile, ObjectPlace } from "./object-reader.ts";
import type { Connection } from "./connection.ts";
import { type Handler, type Operations, operation, operationTable } from "./operation.ts";
import type { Problem } from "./session.ts";
import { OpenFlag, OpenOut, ReleaseIn } from "./wire.ts";

/** What the operations work on besides. */
export interface WithBacking {
  readonly backing?: BackingFiles | undefined;
}

/** The handle of a file that the kernel reads by itself. */
const BACKED = 1n;

/**
 * Operations by which the kernel reads by itself what it can. `objectOf` gives the object of the node
 * that a request is about; undefined when it has none, or is not a file.
 */
export function withPassthrough<S extends WithBacking>(
  operations: Operations<S>,
  objectOf: (context: S, call: Call) => ObjectFile | undefined,
  openOtherwise: Handler<S>,
): Operations<S> {
  const open = (context: S, call: Call): number => {
    const file = objectOf(context, call);
    if (file !== undefined) call.beforeSlow();
    const backingId = file === undefined ? 0 : (context.backing?.open(file) ?? 0);
    if (backingId === 0) return openOtherwise(context, call);
    OpenOut.encodeInto(call.reply, PAYLOAD, {
      fh: BACKED,
      openFlags: OpenFlag.PASSTHROUGH | OpenFlag.NOFLUSH,
      backingId,
    });
    return OpenOut.size;
  };
  const release = (context: S, call: Call): number => {
    if (call.u64(ReleaseIn.offsets.fh) !== Number(BACKED)) return 0;
    const file = objectOf(context, call);
    if (file !== undefined) context.backing?.release(file.nid);
    return 0;
  };
  return operationTable<S>([
    ...operations.values(),
    operation("OPEN", "none", open),
    operation("RELEASE", ReleaseIn, release),
  ]);
}

/** The backing files of a thread; undefined when the kernel does not read objects by itself. */
export function backingOf(
  { fd, backing }: Pick<Connection, "fd" | "backing">,
  places: readonly ObjectPlace[],
  tell: (problem: Problem) => void,
): BackingFiles | undefined {
  if (backing === undefined) return undefined;
  return new BackingFiles(fd, places, backing, ({ nid, digest }, reason) => {
    const message = `object ${digest}: checked block by block: ${reason}`;
    tell({ operation: "OPEN", nodeid: nid, message });
  });
}
