#!/bin/bash
# How examples/site.oci.tar was made: a small two-layer OCI image, by umoci 0.6 and GNU tar (root; needs umoci).
# The second layer changes a file, adds one, and deletes one with a whiteout.
#   examples/make-image.sh OUT.oci.tar
set -euo pipefail
out=$(realpath -m "${1:?usage: make-image.sh OUT.oci.tar}")
export SOURCE_DATE_EPOCH=1760000000 TZ=UTC LC_ALL=C.UTF-8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
stamp() { find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +; }

umoci init --layout "$work/oci"
umoci new --image "$work/oci:latest"
umoci unpack --image "$work/oci:latest" "$work/bundle"
root=$work/bundle/rootfs

mkdir -p "$root"/{etc,usr/bin,usr/share/doc,srv/www/notes,var/cache,tmp}
chmod 1777 "$root/tmp"
printf 'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/srv/www:/bin/false\n' >"$root/etc/passwd"
printf 'listen 8080\nroot /srv/www\n' >"$root/etc/site.conf"
printf '#!/bin/sh\n# Prints the pages of the site, one a line.\nfor page in /srv/www/*.html; do echo "$page"; done\n' >"$root/usr/bin/site"
chmod 4755 "$root/usr/bin/site"
{ echo '<!doctype html><title>verified</title>'; seq -f '<p>paragraph %.0f of the front page</p>' 1 400; } >"$root/srv/www/index.html"
{ echo '<!doctype html><title>old</title>'; seq -f '<p>line %.0f</p>' 1 100; } >"$root/srv/www/old.html"
head -c 300000 <(seq 1 100000) >"$root/srv/www/numbers.txt"
ln "$root/srv/www/numbers.txt" "$root/srv/www/notes/same-numbers.txt"
ln -s ../srv/www/index.html "$root/etc/front-page"
printf 'caf\xe9\n' >"$root/srv/www/notes/$(printf 'caf\xe9')"
mkfifo "$root/var/cache/queue"
chown -R 33:33 "$root/srv/www"
setfattr -n user.origin -v 'sealfs example' "$root/srv/www/index.html"
stamp "$root"
umoci repack --image "$work/oci:latest" --history.created "$created" --history.created_by base "$work/bundle"

rm -rf "$work/bundle"
umoci unpack --image "$work/oci:latest" "$work/bundle"
rm "$root/srv/www/old.html"
printf 'listen 80\nroot /srv/www\n' >"$root/etc/site.conf"
{ echo '<!doctype html><title>new</title>'; seq -f '<p>news item %.0f</p>' 1 150; } >"$root/srv/www/news.html"
chown 33:33 "$root/srv/www/news.html"
stamp "$root"
umoci repack --image "$work/oci:latest" --history.created "$created" --history.created_by update "$work/bundle"
umoci config --image "$work/oci:latest" --created "$created" --architecture amd64 --os linux
umoci gc --layout "$work/oci"
tar -C "$work/oci" --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf "$out" blobs index.json oci-layout
