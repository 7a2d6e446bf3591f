/**
 * FUSE requests, several in a row: a well-formed answer to each, and no problem in the log that is
 * not about the store. The first byte says which image; then each request is its opcode, its node, the
 * length of its body, and the body.
 */
import assert from "node:assert/strict";
import { SealfsError } from "../../../src/errors.ts";
import { Opcode } from "../../../src/fuse/wire.ts";
import { Errno, FuseClient } from "../../support/fuse-client.ts";
import { goldenImage } from "../../support/golden-images.ts";

const images = ["mini-rootfs.v1", "security-caps.v1", "hardlink.v1", "inline-100.v1"];
const clients = images.map((name) => new FuseClient(goldenImage(name).bytes));

export function fuzz(data: Uint8Array): void {
  if (data.length === 0) return;
  const client = clients[data[0]! % clients.length]!;
  for (let at = 1; at + 4 <= data.length;) {
    const opcode = data[at]!;
    const node = data[at + 1]! + data[at + 2]! * 256;
    const length = data[at + 3]!;
    const body = data.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    // RELEASE closes the descriptor that it names: only the kernel may be trusted with that.
    if (opcode === Opcode.RELEASE) continue;
    try {
      client.send(opcode, node, body);
    } catch (error) {
      if (!(error instanceof Errno) && !(error instanceof SealfsError)) throw error;
    }
  }
  for (const { message } of client.problems.splice(0)) {
    assert(!DEFECT.test(message), message);
  }
}

/** What engines say of mistakes in programs. */
const DEFECT = /is not a function|undefined|null|of bounds|call stack|Invalid|not iterable/i;
