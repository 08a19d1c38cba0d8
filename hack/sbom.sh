#!/usr/bin/env bash
# Prints what the image holds, as CycloneDX: hack/sbom.sh TARGET
#
# No time and no number that is drawn: the same source and compilers give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?"usage: hack/sbom.sh TARGET"}

version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
compiler=$(rustc --version | cut -d ' ' -f 2)
library=$(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)
cat <<JSON
{
  "bomFormat": "CycloneDX",
  "specVersion": "1.5",
  "version": 1,
  "metadata": { "component": { "type": "container", "name": "zenlayer-vm-operator", "version": "$version" } },
  "components": [
    { "type": "library", "name": "rust-std", "version": "$compiler", "purl": "pkg:generic/rust-std@$compiler",
      "licenses": [{ "expression": "MIT OR Apache-2.0" }] },
    { "type": "library", "name": "glibc", "version": "$library", "purl": "pkg:generic/glibc@$library",
      "licenses": [{ "expression": "LGPL-2.1-or-later" }] }
JSON
hack/linked.sh "$target" | while read -r name version licence; do
    # Crates of the workspace have no checksum.
    sum=$(grep -A 3 -Fx "name = \"$name\"" Cargo.lock | grep -A 2 -Fx "version = \"$version\"" |
        sed -n 's/^checksum = "\(.*\)"$/\1/p' | head -n 1)
    printf '    , { "type": "library", "name": "%s", "version": "%s", "purl": "pkg:cargo/%s@%s",\n' \
        "$name" "$version" "$name" "$version"
    printf '        "licenses": [{ "expression": "%s" }]' "$licence"
    if [ -n "$sum" ]; then
        printf ',\n        "hashes": [{ "alg": "SHA-256", "content": "%s" }]' "$sum"
    fi
    printf ' }\n'
done
printf '  ]\n}\n'
