/**
 * Which transport serves a mount: the raw one where /dev/fuse can be opened and this process may
 * mount, libfuse elsewhere.
 *
 * @module
 */
import { SystemError } from "../errors.ts";
import { serveDevice } from "../fuse/device.ts";
import { serveLibfuse } from "../fuse/libfuse.ts";
import type { ServeInput, Served, TransportName } from "../fuse/transport.ts";

/**
 * Mounts and starts to serve.
 *
 * @throws {@link SystemError} what is missing, and how to get it
 */
export async function startTransport(
  wanted: TransportName | "auto",
  input: ServeInput,
): Promise<Served> {
  if (wanted === "dev") return serveDevice(input);
  if (wanted === "libfuse") return serveLibfuse(input);
  let reason: SystemError;
  try {
    return await serveDevice(input);
  } catch (error) {
    if (!(error instanceof SystemError) || !["PERMISSION", "NO_FUSE"].includes(error.code)) {
      throw error;
    }
    reason = error;
  }
  try {
    return await serveLibfuse(input);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new SystemError(
      "NO_FUSE",
      `no way to mount: by ourselves: ${reason.message}; through libfuse: ${error.message}`,
      { cause: error, hint: [reason.hint, error.hint].filter(Boolean).join("; ") },
    );
  }
}
