/**
 * The first request of a new connection.
 *
 * @module
 */
import { readSync, writeSync } from "node:fs";
import { REQUEST_BYTES } from "./call.ts";
import { type InitOptions, answerInit, refuseInit } from "./init.ts";

/**
 * Answers the kernel's first request on a new connection.
 *
 * @throws {@link SystemError} `NO_FUSE` when the kernel's FUSE is too old; `NO_PASSTHROUGH` or
 *   `NO_IDMAP` when it cannot do these
 */
export function agree(fd: number, options: InitOptions): void {
  const request = Buffer.alloc(REQUEST_BYTES);
  for (;;) {
    const length = readSync(fd, request, 0, REQUEST_BYTES, null);
    try {
      const { reply, again } = answerInit(request.subarray(0, length), options);
      writeSync(fd, reply);
      if (!again) return;
    } catch (error) {
      writeSync(fd, refuseInit(request));
      throw error;
    }
  }
}
