#!/usr/bin/env bash
# Builds hack/tools/status-checks (kstatus, Flux's status rules, Argo CD's Lua engine) from pinned
# Go modules into .tools/, once. Progress goes to standard error; standard output gets one line,
# STATUS_CHECKS=….
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/hack/progress.sh"
module=$root/hack/tools/status-checks
folder=${ZENLAYER_TOOLS_DIR:-$root/.tools}/status-checks
stamp=$(cat "$module"/* "${BASH_SOURCE[0]}" | cksum | cut -d ' ' -f 1)
binary=$folder/status-checks-$stamp
mkdir -p "$folder"

finish() {
    printf 'STATUS_CHECKS=%s\n' "$binary"
    exit 0
}
[ -x "$binary" ] && finish

command -v go >/dev/null || {
    echo 'error: go is not on the PATH: install Go 1.26 or newer' >&2
    exit 1
}
exec 9>"$folder/lock"
if command -v flock >/dev/null; then flock 9; fi
[ -x "$binary" ] && finish

echo 'status checks: building; about 3 minutes on two cores the first time' >&2
started=$SECONDS
build() {
    cd "$module" && GOFLAGS=-mod=readonly go build -trimpath -ldflags '-s -w' -o "$binary.partial" .
}
with_progress 'status checks:' build || {
    echo 'error: go build of hack/tools/status-checks failed; its messages stand above' >&2
    exit 1
}
mv "$binary.partial" "$binary"
printf 'status checks: done, %d s\n' $((SECONDS - started)) >&2
finish
