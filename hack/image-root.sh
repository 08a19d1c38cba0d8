#!/usr/bin/env bash
# Writes what the image holds to a new folder: hack/image-root.sh FOLDER
#
# That is the static operator, the roots that the provider's certificate is checked against, and the licences of
# all that is linked in; nothing else. The Dockerfile and hack/image.sh both use this. The same source, compilers
# and C library give the same bytes, whatever the folders are called.
set -euo pipefail

output=${1:?"usage: hack/image-root.sh FOLDER"}
mkdir "$output"
output=$(cd "$output" && pwd)
cd "$(dirname "$0")/.."
root=$PWD
. hack/progress.sh
started=$SECONDS
# With an explicit target the flags do not reach build scripts and procedural macros.
target=$(rustc -vV | sed -n 's/^host: //p')
cargo_home=${CARGO_HOME:-$HOME/.cargo}
build=${CARGO_TARGET_DIR:-$root/target}

# No path of this machine, in Rust or in C; of several that fit, the last one counts. Packed relocations save
# a megabyte that would be read at each start.
export CARGO_ENCODED_RUSTFLAGS
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' -Ctarget-feature=+crt-static -Clink-arg=-Wl,-z,pack-relative-relocs \
    "--remap-path-prefix=$root=/source" "--remap-path-prefix=$cargo_home=/cargo")--remap-path-prefix=$build=/target
export "CFLAGS_${target//-/_}=-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$build=/target"
echo 'image: building the operator; about 10 minutes on two cores' >&2
with_progress 'image:' cargo build --locked --release --target "$target" -p zenlayer-vm-operator --bin vm-operator
install -m 0755 "$build/$target/release/vm-operator" "$output/vm-operator"
unset CARGO_ENCODED_RUSTFLAGS

mkdir -p "$output/etc/ssl/certs" "$output/licenses"
cargo run --locked --quiet -p roots > "$output/etc/ssl/certs/ca-certificates.crt"
cp LICENSE "$output/licenses/LICENSE"
hack/licenses.sh "$target" > "$output/licenses/THIRD-PARTY"
chmod -R u=rwX,go=rX "$output"
