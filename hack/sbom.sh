#!/usr/bin/env bash
# Prints what is linked into the operator, as CycloneDX: hack/sbom.sh TARGET
#
# It has the time of the commit, and no number that is drawn: the same source gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?"usage: hack/sbom.sh TARGET"}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
PATH="$(hack/cargo-tool.sh cargo-cyclonedx 0.5.9):$PATH"
# It writes one file beside each Cargo.toml of the workspace.
name=.sbom
trap 'find . -path ./target -prune -o -name "$name.json" -exec rm {} +' EXIT
cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$target" --no-build-deps \
    --override-filename "$name" >&2
cat "$name.json"
