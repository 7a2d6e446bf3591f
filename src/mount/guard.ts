/**
 * A small process that stands by while a mount lives. Should the server be killed, a dead mount would
 * stay that fails every reader; the guard, at the other end of a pipe, then takes it away.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mountAt } from "./mountinfo.ts";
import { stateDirectory } from "./state.ts";

/**
 * Words on the pipe: `mounted DEVICE`, then `done`. At the end of the pipe without `done` the server
 * is dead; if it could not even say what it had mounted, that is what is on top of the target now, is
 * ours, and was not there before.
 */
const GUARD = `
target=$1 point=$2 before=$3 directory=$4 socket=$5 device=
while read -r word value; do
  case $word in
    mounted) device=$value ;;
    done) exit 0 ;;
  esac
done
top=
while read -r _ _ number _ where _ _ rest; do
  [ "$where" = "$point" ] || continue
  top=
  case $rest in *sealfs:*) top=$number ;; esac
done </proc/self/mountinfo
[ -n "$device" ] || { [ "$top" = "$before" ] || device=$top; }
[ -n "$device" ] || exit 0
[ "$top" = "$device" ] &&
  { umount -i -l -- "$target" || fusermount3 -u -z -- "$target" || fusermount -u -z -- "$target"; } 2>/dev/null
name=$directory/\${device%%:*}-\${device##*:}
rm -f -- "$name.json" "$name.sock"
[ -z "$socket" ] || rm -f -- "$socket"
`;

/** A guard that stands by. */
export interface Guard {
  /** Tells what has been mounted. */
  mounted(device: string): void;
  /** The mount has ended well, or never came to be: nothing to clean up. */
  dismiss(): void;
}

/** Starts the guard, before anything is mounted; `socket` is a further file that goes with the server. */
export function startGuard(target: string, socket = ""): Guard {
  const before = mountAt(target)?.device ?? "-";
  const words = [target, escaped(target), before, stateDirectory(), socket];
  const guard = spawn("/bin/sh", ["-c", GUARD, "sealfs-guard", ...words], {
    detached: true,
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => undefined); // no shell: a dead mount stays until somebody removes it
  guard.stdin.on("error", () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return {
    mounted: (device) => void guard.stdin.write(`mounted ${device}\n`),
    dismiss: () => void guard.stdin.end("done\n"),
  };
}

/** As the list of mounts writes it. */
function escaped(path: string): string {
  return path.replace(
    /[ \t\n\\]/g,
    (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`, // prettier-ignore
  );
}
