#!/bin/sh
# Becomes a guard to which the kernel sends SIGURG when the thread that has started it ends
# (PR_SET_PDEATHSIG), where there is a setpriv(1) that can ask for that.
#
#   arm.sh PROGRAM ARGUMENT...
#
#   PROGRAM  the text of guard.sh

guard=$1
shift
setpriv --pdeathsig URG true 2>/dev/null &&
  exec setpriv --pdeathsig URG /bin/sh -c "$guard" sealfs-guard "$@"
exec /bin/sh -c "$guard" sealfs-guard "$@"
