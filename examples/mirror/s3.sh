#!/bin/sh
# A sealfs store as static files in a bucket: what a mirror needs, and nothing else of the store.
#   sh s3.sh /srv/store s3://bucket/prefix
set -eu
store=${1:?usage: s3.sh STORE s3://BUCKET/PREFIX}
bucket=${2:?usage: s3.sh STORE s3://BUCKET/PREFIX}
for part in objects verity; do
  aws s3 sync "$store/$part" "$bucket/$part" --size-only \
    --cache-control "public, max-age=31536000, immutable" --content-type application/octet-stream
done
for part in bundles seek; do aws s3 sync "$store/$part" "$bucket/$part"; done
aws s3 cp "$store/meta.json" "$bucket/meta.json"
