#!/usr/bin/env bash
# Prints the crates that the image holds, each with version and licence: hack/linked.sh TARGET
#
# By cargo's own resolution for this target, without what only the build needs. Tools that read `cargo metadata` take the
# weak features of some crates for dependencies, and would list thirty crates more, ring among them.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?"usage: hack/linked.sh TARGET"}
export LC_ALL=C

for package in zenlayer-vm-operator roots; do
    cargo tree --locked --target "$target" -p "$package" -e normal,no-proc-macro --prefix none --no-dedupe \
        --format '{p}|{l}'
done | sed -n 's/^\([^ ]*\) v\([^ |]*\)[^|]*|\(.*\)$/\1 \2 \3/p' | grep -v '^roots ' | sed 's|/| OR |g' | sort -u
