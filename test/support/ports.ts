/**
 * Ports of this machine, and waiting for who listens there.
 *
 * @module
 */
import { type AddressInfo, createServer } from "node:net";

/** A port on which nobody listens at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Looks every now and then until `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("not within a minute");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
