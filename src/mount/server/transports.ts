/**
 * Which transport serves a mount: the first that works, of /dev/fuse by ourselves where this process
 * may mount, the same through fusermount3, and libfuse.
 *
 * @module
 */
import { SystemError } from "../../errors.ts";
import { serveImage } from "../../fuse/image-server.ts";
import { serveByLibfuse } from "../../fuse/libfuse/libfuse-server.ts";
import type { ServeInput, Served, TransportName } from "../../fuse/transport.ts";

const transports: Readonly<Record<TransportName, (input: ServeInput) => Promise<Served>>> = {
  dev: (input) => serveImage(input, "dev"),
  fusermount: (input) => serveImage(input, "fusermount"),
  libfuse: serveByLibfuse,
};

/** After these the next transport may have a try. */
const nextCodes: ReadonlySet<string> = new Set([
  "PERMISSION",
  "NO_FUSE",
  "NO_KOFFI",
  "NO_FUSERMOUNT",
  "NO_LIBFUSE",
]);

/**
 * Mounts and starts to serve.
 *
 * @throws {@link SystemError} what is missing, and how to get it
 */
export async function startTransport(
  wanted: TransportName | "auto",
  input: ServeInput,
): Promise<Served> {
  if (wanted !== "auto") return transports[wanted](input);
  const failures: [TransportName, SystemError][] = [];
  for (const name of Object.keys(transports) as TransportName[]) {
    try {
      return await transports[name](input);
    } catch (error) {
      if (!(error instanceof SystemError) || !nextCodes.has(error.code)) throw error;
      failures.push([name, error]);
    }
  }
  const reasons = failures.map(([name, { message }]) => `${name}: ${message}`);
  const hints = new Set(failures.flatMap(([, { hint }]) => (hint === undefined ? [] : [hint])));
  throw new SystemError("NO_FUSE", `no way to mount: ${reasons.join("; ")}`, {
    cause: failures.at(-1)?.[1],
    hint: [...hints].join("; "),
  });
}
