#!/usr/bin/env bash
# Provides prometheus and promtool for `make nightly`. Those of the PATH are used; else Debian's package is
# downloaded by apt-get and unpacked into .tools/, without a right to install anything.
#
# Progress goes to standard error. Standard output gets two lines: PROMETHEUS=… and PROMTOOL=….
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${ZENLAYER_TOOLS_DIR:-$root/.tools}/prometheus
# shellcheck source=hack/debian-package.sh
. "$root/hack/debian-package.sh"

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    binaries=("$(command -v prometheus)" "$(command -v promtool)")
else
    unpacked "$folder" usr/bin/promtool prometheus
    binaries=("$folder/usr/bin/prometheus" "$folder/usr/bin/promtool")
fi
printf 'PROMETHEUS=%s\nPROMTOOL=%s\n' "${binaries[@]}"
