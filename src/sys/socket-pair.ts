/**
 * Pairs of sockets, and descriptors that programs inherit (socketpair(2), fcntl(2)): Node has neither.
 *
 * @module
 */
import { errnoError, lazy, loadLibc } from "./koffi.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const F_SETFD = 2;

const calls = lazy(() => {
  const libc = loadLibc();
  return {
    socketpair: libc.func<[number, number, number, Uint8Array]>(
      "int socketpair(int domain, int type, int protocol, void *sockets)",
    ),
    fcntl: libc.func<[number, number, number]>("int fcntl(int fd, int op, int arg)"),
    errno: () => libc.errno(),
  };
});

/**
 * Two sockets that are connected; the caller closes them. No program inherits them.
 *
 * @throws {@link SystemError} `NO_KOFFI`, or what the kernel says
 */
export function socketPair(): [number, number] {
  const sockets = Buffer.alloc(8);
  if (calls().socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) !== 0) {
    throw errnoError(calls().errno(), "socketpair");
  }
  return [sockets.readInt32LE(0), sockets.readInt32LE(4)];
}

/** From now on programs that this process starts have the descriptor too. */
export function makeInheritable(fd: number): void {
  if (calls().fcntl(fd, F_SETFD, 0) !== 0) throw errnoError(calls().errno(), "fcntl");
}
