#!/usr/bin/env bash
# Builds the real helm from pinned Go modules (hack/tools/helm) into .tools/, once: the tests of the chart
# need it. Progress goes to standard error; standard output gets one line, HELM=….
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/hack/progress.sh"
module=$root/hack/tools/helm
folder=${ZENLAYER_TOOLS_DIR:-$root/.tools}/helm
stamp=$(cat "$module"/* "${BASH_SOURCE[0]}" | cksum | cut -d ' ' -f 1)
binary=$folder/helm-$stamp
mkdir -p "$folder"

finish() {
    printf 'HELM=%s\n' "$binary"
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

version=$(sed -n 's/.*helm.sh\/helm\/v4 \(v[0-9.]*\).*/\1/p' "$module/go.mod" | head -n 1)
echo "helm: building $version; about 4 minutes on two cores the first time" >&2
started=$SECONDS
build() {
    cd "$module" && GOFLAGS=-mod=readonly go build -trimpath \
        -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$version" \
        -o "$binary.partial" helm.sh/helm/v4/cmd/helm
}
with_progress 'helm:' build || {
    echo 'error: go build of hack/tools/helm failed; its messages stand above' >&2
    exit 1
}
mv "$binary.partial" "$binary"
printf 'helm: done, %d s\n' $((SECONDS - started)) >&2
finish
