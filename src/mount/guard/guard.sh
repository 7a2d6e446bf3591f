#!/bin/sh
# The guard of a mount: waits for the end of the mount's server, and removes what a killed server has left:
# the mount, its files in the run directory, its socket (see guard.ts).
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
# Standard input gets a line "mounted DEVICE" once the image is mounted, and "done" when there is nothing
# left to guard. The server is dead when that input ends, or when its first thread has ended, which the
# kernel tells by SIGURG. Nothing below TARGET is accessed: the mount might not answer.

target=$1 point=$2 before=$3 directory=$4 socket=$5 server=$6
device='' word='' value='' interrupted=''

hear() {
  case $word in
    mounted) device=$value ;;
    done) exit 0 ;;
  esac
}

# Sets top to the device number of the topmost mount on the target if that is one of sealfs, else to nothing.
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
  # A server killed before it could tell: what it mounted is what was not there before.
  if [ -z "$device" ] && [ "$top" != "$before" ]; then device=$top; fi
  [ -n "$device" ] || exit 0
  name=$directory/${device%%:*}-${device##*:}
  if [ "$top" = "$device" ]; then
    # First, while the number is this mount's: another may get it as soon as it is free.
    rm -f -- "$name.json" "$name.sock"
    {
      echo 1 >"/sys/fs/fuse/connections/${device##*:}/abort"
      umount -i -c -f -l -- "$target" || umount -f -l -- "$target" ||
        fusermount3 -u -z -- "$target" || fusermount -u -z -- "$target"
    } 2>/dev/null
  else
    read -r state 2>/dev/null <"$name.json" # which has no line end
    case $state in
      *"\"pid\":$server,"*) rm -f -- "$name.json" "$name.sock" ;;
    esac
  fi
  [ -z "$socket" ] || rm -f -- "$socket"
  exit 0
}

# The server's first thread has ended. The process is dead if the input ends or it is a zombie.
orphaned() {
  hear # the line that was being read when the signal came
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
