#!/usr/bin/env bash
# Provides redis-server for the test of Argo CD in `make nightly`. That of the PATH is used; else Debian's packages
# are downloaded by apt-get and unpacked into .tools/, without a right to install anything.
#
# Progress goes to standard error. Standard output gets one line: REDIS=….
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${ZENLAYER_TOOLS_DIR:-$root/.tools}/redis

finish() {
    printf 'REDIS=%s\n' "$1"
    exit 0
}
if command -v redis-server >/dev/null; then finish "$(command -v redis-server)"; fi
if [ -x "$folder/redis-server" ]; then finish "$folder/redis-server"; fi

{ command -v apt-get && command -v dpkg-deb; } >/dev/null || {
    echo 'error: redis-server is not on the PATH, and there is no apt-get to fetch it: install it' >&2
    exit 1
}
mkdir -p "$folder"
exec 9>"$folder/lock"
if command -v flock >/dev/null; then flock 9; fi
if [ ! -x "$folder/redis-server" ]; then
    echo 'redis: fetching the packages of the distribution' >&2
    partial=$(mktemp -d "$folder/partial.XXXXXX")
    trap 'rm -rf "$partial"' EXIT
    # The binary is in the second one; the libraries may be missing here.
    (cd "$partial" && apt-get download -q redis-server redis-tools libjemalloc2 liblzf1 >&2)
    for package in "$partial"/*.deb; do dpkg-deb -x "$package" "$partial"; done
    cp -r "$partial/usr" "$folder/"
    libraries=$(dirname "$(find "$folder/usr/lib" -name 'libjemalloc.so.*' | head -n 1)")
    cat >"$folder/redis-server.partial" <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$folder/usr/bin/redis-server' "\$@"
SCRIPT
    chmod +x "$folder/redis-server.partial"
    mv "$folder/redis-server.partial" "$folder/redis-server"
fi
finish "$folder/redis-server"
