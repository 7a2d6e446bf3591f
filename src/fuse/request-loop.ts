/**
 * The request loop of one thread: when it has the turn it waits in read(2) or poll(2) on /dev/fuse,
 * which is four times faster than to wait through the event loop.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { errnoError } from "../sys/koffi.ts";
import { EAGAIN } from "../sys/reading.ts";
import type { Call } from "./call.ts";
import { EINTR, EIO, ENODEV, ENOENT } from "./errno.ts";
import { RequestSource } from "./request-source.ts";
import type { Session } from "./session.ts";
import type { Turns } from "./turns.ts";

type Serving = Pick<Session<unknown>, "call" | "answer" | "counters">;

/** Serves requests from the descriptor `fd` until the file system is unmounted. */
export function serveRequests(fd: number, session: Serving, turns: Turns): void {
  session.call.beforeSlow = () => turns.pass();
  try {
    serveInTurn(fd, session, turns);
  } finally {
    turns.pass(); // the next one sees for itself that it is over
  }
}

function serveInTurn(fd: number, session: Serving, turns: Turns): void {
  const { call, counters } = session;
  const source = new RequestSource(fd, () => turns.othersWait());
  for (;;) {
    turns.take();
    const length = source.next(call.request);
    if (length === -ENODEV) return; // unmounted, or the connection was aborted
    // ENOENT: the request was withdrawn before it was read
    if (length === -ENOENT || length === -EINTR || length === -EAGAIN) continue;
    if (length < 0) throw errnoError(-length, "requests from /dev/fuse");
    if (length === 0) return;
    const start = performance.now();
    const answer = session.answer(length);
    if (answer === 0) continue;
    if (!sendAnswer(fd, call, answer)) return;
    counters.took(call.opcode, performance.now() - start);
  }
}

/** Gives the kernel the first `length` bytes of the reply; false when the connection has ended. */
export function sendAnswer(fd: number, call: Call, length: number): boolean {
  try {
    writeSync(fd, call.reply, 0, length, null);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENODEV") return false;
    if (code === "ENOENT") return true; // nobody waits for it any more
    // The kernel did not like the answer; the caller must get one.
    try {
      writeSync(fd, call.reply, 0, call.finish(-EIO, 0), null);
    } catch {
      // it had been taken after all
    }
  }
  return true;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
