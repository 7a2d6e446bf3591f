#!/bin/sh
# systemd.sh SCRATCH PROJECT NODE: boots this machine's systemd in namespaces of its own, on a copy of the root
# directory that takes changes in memory. SCRATCH/etc is laid over /etc, SCRATCH/store is where the machine's
# fstab can bind it (/seed), SCRATCH/out is its /out. It boots check.target, and ends when that powers it off.
set -eu
if [ "${4:-}" != inside ]; then
  exec unshare --mount --pid --fork --kill-child --ipc --uts --cgroup --propagation private /bin/sh "$0" "$1" "$2" "$3" inside
fi
S=$1 PROJECT=$2 NODE=$3 R=$1/root
mkdir -p "$R" "$S/memory"
mount -t tmpfs -o size=1g tmpfs "$S/memory"
mkdir "$S/memory/upper" "$S/memory/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$S/memory/upper,workdir=$S/memory/work" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs sysfs "$R/sys"
mount --rbind /dev "$R/dev"
for d in run tmp; do mount -t tmpfs tmpfs "$R/$d"; done
mkdir -p "$R/seed" "$R/out" "$R/var/lib/sealfs/store" "$R/var/lib/tools" "$R/srv/site" "$R/opt/tools" "$R$PROJECT" "$R/oldroot"
mount --bind "$S/store" "$R/seed"
mount --bind "$S/out" "$R/out"
mount --bind "$PROJECT" "$R$PROJECT"
mount -t tmpfs tmpfs "$R/var/lib/tools" # the root directory cannot be an upper one
mkdir "$R/var/lib/tools/upper" "$R/var/lib/tools/work"
ln -sf "$PROJECT/bin/mount.sealfs.js" "$R/usr/sbin/mount.sealfs"
[ -e "$R/usr/bin/node" ] || ln -sf "$NODE" "$R/usr/local/bin/node"
rm -rf "$R"/etc/systemd/system/*.wants "$R"/etc/systemd/system/*.mount "$R/etc/systemd/system/default.target"
cp -r "$S/etc/." "$R/etc/"
for unit in systemd-udevd systemd-udev-trigger systemd-networkd systemd-resolved systemd-timesyncd console-getty systemd-logind dbus; do
  ln -sf /dev/null "$R/etc/systemd/system/$unit.service"
done
ln -sf /dev/null "$R/etc/systemd/system/getty.target"
cd "$R"
pivot_root . oldroot
umount -l oldroot # nothing of the machine around is seen, nor unmounted at the end
exec env -i container=sealfs PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
  /lib/systemd/systemd --unit=check.target --log-target=null --show-status=0 </dev/null >/out/boot.log 2>&1
