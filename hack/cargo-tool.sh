#!/usr/bin/env bash
# Provides a tool of crates.io: hack/cargo-tool.sh NAME VERSION [OPTIONS OF cargo install]
#
# Installs it below .tools/ (or ZENLAYER_TOOLS_DIR) unless that version is there already. Standard
# output gets one line: the folder to put in front of the PATH.
set -euo pipefail

usage='usage: hack/cargo-tool.sh NAME VERSION [OPTIONS OF cargo install]'
name=${1:?"$usage"}
version=${2:?"$usage"}
shift 2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/hack/progress.sh"
folder=${ZENLAYER_TOOLS_DIR:-$root/.tools}/cargo/$name-$version

if [ ! -x "$folder/bin/$name" ]; then
    printf '%s: installing version %s; a few minutes, once\n' "$name" "$version" >&2
    started=$SECONDS
    with_progress "$name:" cargo install --quiet --locked --version "$version" --root "$folder" "$@" "$name" || {
        printf 'error: cargo install of %s failed; its messages stand above\n' "$name" >&2
        exit 1
    }
    printf '%s: done, %d s\n' "$name" $((SECONDS - started)) >&2
fi
printf '%s\n' "$folder/bin"
