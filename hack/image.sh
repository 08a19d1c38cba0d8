#!/usr/bin/env bash
# Builds the image without a container engine: hack/image.sh [FOLDER], by default target/image.
#
#   FOLDER/layout    the image for the architecture of this machine, as an OCI layout
#   FOLDER/sbom.json what is linked in (CycloneDX)
#   FOLDER/licenses  the licences, as the image has them
#
# Two clean builds of one commit give the same digest, whatever their folders are called. The compilers and
# the C library are part of it: those of deploy/Dockerfile, for a release.
set -euo pipefail
umask 022

cd "$(dirname "$0")/.."
output=${1:-target/image}
rm -rf "$output"
mkdir -p "$output"
output=$(cd "$output" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All times are that of the commit.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
revision=$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
target=$(rustc -vV | sed -n 's/^host: //p')
case $target in
    x86_64-*) architecture=amd64 ;;
    aarch64-*) architecture=arm64 ;;
    *) echo "error: no image is made for $target" >&2; exit 1 ;;
esac

release=$(hack/build-release.sh)
hack/image-root.sh "$work/root"
cp -R "$work/root/licenses" "$output/licenses"
"${release#RELEASE=}" pack --root "$work/root" --architecture "$architecture" --created "$SOURCE_DATE_EPOCH" \
    --version "$version" --revision "$revision" "$output/layout"
hack/sbom.sh "$target" > "$output/sbom.json"
