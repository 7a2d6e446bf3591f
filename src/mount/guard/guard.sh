#!/bin/sh
# The guard of a mount: it waits for the end of the mount's server, and takes away what a server that was
# killed has left (see guard.ts).
#
#   guard.sh TARGET POINT BEFORE DIRECTORY SOCKET SERVER
#
#   TARGET     the directory to be mounted on
#   POINT      the same, as /proc/self/mountinfo writes it
#   BEFORE     device number of what is mounted there already, or -
#   DIRECTORY  the run directory
#   SOCKET     a further file that goes with the server, or nothing
#   SERVER     the server's process id
#
# Standard input has a line "mounted DEVICE" as soon as there is a mount, and "done" when there is nothing
# to guard any more. The server is dead at the end of that input, or when its first thread is: the kernel
# tells of that by SIGURG. Nothing at TARGET is asked for: it might not answer.

target=$1 point=$2 before=$3 directory=$4 socket=$5 server=$6
device='' word='' value='' interrupted=''

hear() {
  case $word in
    mounted) device=$value ;;
    done) exit 0 ;;
  esac
}

# Sets top to the device number of the topmost mount on the target, should that be of sealfs.
look() {
  top=
  while read -r _ _ number _ where _ _ rest; do
    [ "$where" = "$point" ] || continue
    case $rest in
      *sealfs:*) top=$number ;;
      *) top= ;;
    esac
  done </proc/self/mountinfo
}

clean() {
  look
  # A server that could not even say what it had mounted has mounted what was not there before.
  if [ -z "$device" ] && [ "$top" != "$before" ]; then device=$top; fi
  [ -n "$device" ] || exit 0
  if [ "$top" = "$device" ]; then
    {
      echo 1 >"/sys/fs/fuse/connections/${device##*:}/abort"
      umount -i -c -f -l -- "$target" || umount -f -l -- "$target" ||
        fusermount3 -u -z -- "$target" || fusermount -u -z -- "$target"
    } 2>/dev/null
  fi
  name=$directory/${device%%:*}-${device##*:}
  rm -f -- "$name.json" "$name.sock"
  [ -z "$socket" ] || rm -f -- "$socket"
  exit 0
}

# The server's first thread has ended: the process as well, if its input does or it is a zombie.
orphaned() {
  hear # what was being read when the signal came
  if left=$(timeout 1 cat); then ended=1; else ended=; fi
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
