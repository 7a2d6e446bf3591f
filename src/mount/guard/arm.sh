#!/bin/sh
# Runs the guard so that the kernel sends it SIGURG when the thread that started it ends
# (PR_SET_PDEATHSIG), where setpriv(1) can ask for that.
#
#   arm.sh PROGRAM ARGUMENT...
#
#   PROGRAM  the text of guard.sh

guard=$1
shift
setpriv --pdeathsig URG true 2>/dev/null &&
  exec setpriv --pdeathsig URG /bin/sh -c "$guard" sealfs-guard "$@"
exec /bin/sh -c "$guard" sealfs-guard "$@"
