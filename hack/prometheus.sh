#!/usr/bin/env bash
# Provides prometheus and promtool for `make nightly`. Those of the PATH are used; else Debian's package is
# downloaded by apt-get and unpacked into .tools/, without a right to install anything.
#
# Progress goes to standard error. Standard output gets two lines: PROMETHEUS=… and PROMTOOL=….
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${ZENLAYER_TOOLS_DIR:-$root/.tools}/prometheus

finish() {
    printf 'PROMETHEUS=%s\nPROMTOOL=%s\n' "$1" "$2"
    exit 0
}
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    finish "$(command -v prometheus)" "$(command -v promtool)"
fi
found() { [ -x "$folder/usr/bin/prometheus" ] && [ -x "$folder/usr/bin/promtool" ]; }
if found; then finish "$folder/usr/bin/prometheus" "$folder/usr/bin/promtool"; fi

{ command -v apt-get && command -v dpkg-deb; } >/dev/null || {
    echo 'error: prometheus and promtool are not on the PATH, and there is no apt-get to fetch them: install them' >&2
    exit 1
}
mkdir -p "$folder"
exec 9>"$folder/lock"
if command -v flock >/dev/null; then flock 9; fi
if ! found; then
    echo 'prometheus: fetching the package of the distribution' >&2
    partial=$(mktemp -d "$folder/partial.XXXXXX")
    trap 'rm -rf "$partial"' EXIT
    (cd "$partial" && apt-get download -q prometheus >&2 && dpkg-deb -x prometheus_*.deb .)
    cp -r "$partial/usr" "$folder/"
fi
finish "$folder/usr/bin/prometheus" "$folder/usr/bin/promtool"
