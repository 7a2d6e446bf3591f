/**
 * The work of a mount's server process, by mode.
 *
 * @module
 */
import { closeSync } from "node:fs";
import type { ServeInput, Served } from "../../fuse/transport.ts";
import { Store } from "../../store/store.ts";
import { whenEnded } from "./file-system-end.ts";
import { serveHybrid, stackWishes } from "./hybrid.ts";
import { type WritableLayers, mountStack } from "../kernel/stack.ts";
import type { ServerInput } from "./server-input.ts";
import { startTransport } from "./transports.ts";

/** What was asked for, and what the server has made ready. */
export type ModeInput = ServeInput &
  Omit<ServerInput, "writable"> & { readonly writable?: WritableLayers };

/**
 * Mounts in the mode that was chosen, and serves what there is to serve.
 *
 * @throws {@link SystemError} what this machine lacks; nothing is mounted then
 */
export async function serveMode(input: ModeInput): Promise<Served> {
  switch (input.mode) {
    case "kernel":
      return serveKernel(input);
    case "hybrid":
      return serveHybrid(input);
    case "fuse":
      return startTransport(input.transport, input);
  }
}

/** The kernel does everything; the process is there to hold leases and to end the mount. */
function serveKernel(input: ModeInput): Served {
  const stores = input.stores.map((path) => Store.open(path).objects);
  const objects: number[] = [];
  try {
    for (const store of stores) objects.push(store.hold());
    mountStack(
      { bytes: new Uint8Array(input.image), digest: input.digest },
      {
        source: input.source,
        target: input.target,
        objects,
        images: stores,
        requireVerity: input.promise === "block",
        ...stackWishes(input),
      },
    );
  } finally {
    for (const fd of objects) closeSync(fd);
  }
  return { transport: undefined, ended: whenEnded(input.target) };
}
