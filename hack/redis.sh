#!/usr/bin/env bash
# Provides redis-server for the test of Argo CD in `make nightly`. That of the PATH is used; else Debian's packages
# are downloaded by apt-get and unpacked into .tools/, without a right to install anything.
#
# Progress goes to standard error. Standard output gets one line: REDIS=….
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${ZENLAYER_TOOLS_DIR:-$root/.tools}/redis
# shellcheck source=hack/debian-package.sh
. "$root/hack/debian-package.sh"

server=$(command -v redis-server || true)
if [ -z "$server" ]; then
    server=$folder/redis-server
    # The binary is in the second one; the libraries may be missing here.
    unpacked "$folder" usr/bin/redis-server redis-server redis-tools libjemalloc2 liblzf1
    libraries=$(dirname "$(find "$folder/usr/lib" -name 'libjemalloc.so.*' | head -n 1)")
    cat >"$server.partial" <<SCRIPT
#!/bin/sh
LD_LIBRARY_PATH='$libraries' exec '$folder/usr/bin/redis-server' "\$@"
SCRIPT
    chmod +x "$server.partial"
    mv "$server.partial" "$server"
fi
printf 'REDIS=%s\n' "$server"
