#!/bin/sh
# The whole job on the bundled image (examples/site.oci.tar, made by umoci; see make-image.sh):
# build, sign, verify, mount, read, then change one byte in the store and see the read refused.
#   examples/demo.sh [OCI-ARCHIVE]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
image=${1:-$here/site.oci.tar}
work=$(mktemp -d)
mnt=$work/mnt
PATH=$work/bin:$PATH
export SEALFS_STATE="$work/state" # what this client remembers of versions
mkdir "$mnt" "$work/bin"
printf '#!/bin/sh\nexec node "%s/../bin/sealfs.js" "$@"\n' "$here" >"$work/bin/sealfs"
chmod +x "$work/bin/sealfs"
cleanup() {
  sealfs umount "$mnt" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT INT TERM

# Shows a command, then runs it.
run() {
  printf '\n$ %s\n' "$*"
  "$@"
}
cd "$work"

run sealfs keygen -o signer
run sealfs build "oci-archive:$image" --store store --name example.org/site:1.0 --key signer.key
run sealfs verify example.org/site:1.0 --store store --key signer.pub
run sealfs mount example.org/site:1.0 "$mnt" --store store --key signer.pub
run ls -l "$mnt/srv/www"
run head -n 3 "$mnt/srv/www/index.html"

printf '\n# Someone changes one byte of that page in the store, unnoticed by file size or time.\n'
digest=$(sealfs ls --json example.org/site:1.0 /srv/www/index.html --store store |
  sed -n 's/.*"digest": *"\([0-9a-f]*\)".*/\1/p' | head -n 1)
object=store/objects/$(echo "$digest" | cut -c1-2)/$(echo "$digest" | cut -c3-)
touch -r "$object" stamp
chmod u+w "$object"
printf 'X' | dd of="$object" bs=1 seek=100 conv=notrunc status=none
touch -r stamp "$object"
sealfs umount "$mnt"
sealfs mount example.org/site:1.0 "$mnt" --store store --key signer.pub
printf '\n$ head -n 3 %s\n' "$mnt/srv/www/index.html"
if head -n 3 "$mnt/srv/www/index.html"; then
  echo "the changed byte was served: this must not happen" >&2
  exit 1
fi
run head -n 3 "$mnt/srv/www/news.html"
run sealfs umount "$mnt"
printf '\nThe changed file was refused, everything else was served.\n'
