/**
 * A small process that stands by while a mount lives. Should the server be killed, a dead mount would
 * stay that fails every reader; the guard then takes it away.
 *
 * @module
 */
import { type StdioOptions, spawn } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { hasLibc } from "../../sys/koffi.ts";
import { makeInheritable, socketPair } from "../../sys/socket-pair.ts";
import { mountAt } from "../table/mountinfo.ts";
import { stateDirectory } from "../table/run-state.ts";

/**
 * Words come through a pipe: `mounted DEVICE`, then `done`. The server is dead
 *
 * - at the end of the pipe. Programs that it has started hold the pipe as well, so that a mount which
 *   fusermount3 is still about to make is not missed;
 * - when its first thread is: of that the kernel tells by a signal (prctl(2), PR_SET_PDEATHSIG). A
 *   process of which a thread waits for a file system that its other threads have served cannot end,
 *   and its pipe does not; but the file system can be ended, and then it does.
 *
 * If it could not even say what it had mounted, that is what is on top of the target now, is ours, and
 * was not there before. Nothing at the target is asked for: it might not answer.
 */
const GUARD = `
target=$1 point=$2 before=$3 directory=$4 socket=$5 server=$6 device= word= value= interrupted=
hear() {
  case $word in
    mounted) device=$value ;;
    done) exit 0 ;;
  esac
}
clean() {
  top=
  while read -r _ _ number _ where _ _ rest; do
    [ "$where" = "$point" ] || continue
    top=
    case $rest in *sealfs:*) top=$number ;; esac
  done </proc/self/mountinfo
  [ -n "$device" ] || { [ "$top" = "$before" ] || device=$top; }
  [ -n "$device" ] || exit 0
  [ "$top" = "$device" ] && {
    echo 1 >"/sys/fs/fuse/connections/\${device##*:}/abort"
    umount -i -c -f -l -- "$target" || umount -f -l -- "$target" ||
      fusermount3 -u -z -- "$target" || fusermount -u -z -- "$target"
  } 2>/dev/null
  name=$directory/\${device%%:*}-\${device##*:}
  rm -f -- "$name.json" "$name.sock"
  [ -z "$socket" ] || rm -f -- "$socket"
  exit 0
}
orphaned() {
  hear
  left=$(timeout 1 cat) && ended=1 || ended=
  while read -r word value; do hear; done <<END
$left
END
  [ -z "$ended" ] || clean
  while read -r key state _ && [ "$key" != State: ]; do :; done 2>/dev/null <"/proc/$server/status"
  [ "$state" != Z ] || clean
  interrupted=1
}
trap orphaned URG
while :; do
  interrupted=
  if read -r word value; then hear; else [ -n "$interrupted" ] || clean; fi
done
`;

/** Asks for the signal, where there is a setpriv that can, and becomes the guard. */
const ARM = `
guard=$1
shift
setpriv --pdeathsig URG true 2>/dev/null &&
  exec setpriv --pdeathsig URG /bin/sh -c "$guard" sealfs-guard "$@"
exec /bin/sh -c "$guard" sealfs-guard "$@"
`;

/** A guard that stands by. */
export interface Guard {
  /** Tells what has been mounted. */
  mounted(device: string): void;
  /** The mount has ended well, or never came to be: nothing to clean up. */
  dismiss(): void;
}

/**
 * Starts the guard, before anything is mounted; `socket` is a further file that goes with the server.
 * It has to be started by the first thread of the server, which must not wait for its own file system.
 */
export function startGuard(target: string, socket = ""): Guard {
  const before = mountAt(target)?.device ?? "-";
  const words = [target, escaped(target), before, stateDirectory(), socket, String(process.pid)];
  return hasLibc() ? throughOwnPipe(words) : throughPipe(words);
}

function throughOwnPipe(words: readonly string[]): Guard {
  const [ours, theirs] = socketPair();
  start(words, theirs);
  closeSync(theirs);
  makeInheritable(ours);
  const say = (text: string) => {
    try {
      writeSync(ours, text);
    } catch {
      // it is gone: a dead mount would stay until somebody removes it
    }
  };
  return {
    mounted: (device) => say(`mounted ${device}\n`),
    dismiss: () => say("done\n"),
  };
}

/** Without koffi a program that the server has started may outlive the pipe for a moment. */
function throughPipe(words: readonly string[]): Guard {
  const { stdin } = start(words, "pipe");
  stdin?.on("error", () => undefined);
  (stdin as unknown as { unref(): void }).unref();
  return {
    mounted: (device) => void stdin?.write(`mounted ${device}\n`),
    dismiss: () => void stdin?.end("done\n"),
  };
}

function start(words: readonly string[], input: "pipe" | number) {
  const stdio: StdioOptions = [input, "ignore", "ignore"];
  const guard = spawn("/bin/sh", ["-c", ARM, "sealfs-guard", GUARD, ...words], {
    detached: true,
    cwd: "/",
    stdio,
  });
  guard.on("error", () => undefined); // no shell: a dead mount stays until somebody removes it
  guard.unref();
  return guard;
}

/**
 * Sees to it that a directory goes with this process, should it be killed: until the returned function
 * is called. It need not be there yet.
 */
export function guardDirectory(path: string): () => void {
  const script = 'read -r _ || rm -rf -- "$1"';
  const guard = spawn("/bin/sh", ["-c", script, "sealfs-guard", path], {
    detached: true, // keys that end the command do not end its guard
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => undefined); // no shell: a dead command leaves its directory
  guard.stdin.on("error", () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return () => {
    guard.stdin.write("done\n"); // a pipe takes that at once
    guard.stdin.destroy();
  };
}

/** As the list of mounts writes it. */
function escaped(path: string): string {
  return path.replace(
    /[ \t\n\\]/g,
    (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`, // prettier-ignore
  );
}
