#!/bin/sh
# Puts each asset's content hash into its name and into the page that loads it, and packs what nginx serves packed:
#   name_assets.sh SITE     changes the folder SITE in place; run once, by the Dockerfile
set -eu
cd "$1"

for path in assets/*; do
    hash=$(sha256sum "$path" | cut -c1-16)
    named="${path%.*}.$hash.${path##*.}"
    mv "$path" "$named"
    grep -q "\"/$path\"" index.html || { echo "name_assets: index.html does not load /$path" >&2; exit 1; }
    sed -i "s#\"/$path\"#\"/$named\"#" index.html
done
# -n: no time stamps, the same bytes at every build
gzip -n -9 -k index.html assets/*
