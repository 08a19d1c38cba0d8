#!/usr/bin/env bash
# Prints the licence of everything that the image holds, and then each licence text once, with the crates that bear it:
# hack/licenses.sh TARGET
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?"usage: hack/licenses.sh TARGET"}
export LC_ALL=C

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
hack/linked.sh "$target" > "$work/list"
cargo metadata --locked --format-version 1 --filter-platform "$target" |
    grep -o '"manifest_path":"[^"]*/Cargo.toml"' | sed 's/^"manifest_path":"//; s/\/Cargo.toml"$//' > "$work/folders"

cat <<'TEXT'
The image holds vm-operator, which is linked with the crates below, with the standard library of Rust (MIT OR
Apache-2.0) and with the C library of GNU (LGPL-2.1-or-later); and the certificates of webpki-root-certs. The
source, and the script that links it again with another version of any of them, are in the repository of
zenlayer-vm-operator. Where a crate has no text of its own below, its licence does.

TEXT
cat "$work/list"

while read -r name version _; do
    # Crates of the workspace have no version in the name of their folder, and the licence of the repository.
    folder=$(grep "/$name-$version\$" "$work/folders" | head -n 1 || true)
    [ -n "$folder" ] || continue
    find "$folder" -maxdepth 2 -type f -size -256k \
        \( -iname 'licen[cs]e*' -o -iname 'unlicense*' -o -iname 'copying*' -o -iname 'copyright*' -o -iname 'notice*' \) \
        ! -name '*.rs' ! -name '*.html' ! -name '*.toml' | sort | while read -r text; do
        sum=$(tr -d '\r' < "$text" | sha256sum | cut -d ' ' -f 1)
        tr -d '\r' < "$text" > "$work/$sum.text"
        echo "$name-$version" >> "$work/$sum.crates"
    done
done < "$work/list"

# In the order of the first crate that bears it.
for crates in "$work"/*.crates; do
    printf '%s %s\n' "$(head -n 1 "$crates")" "$crates"
done | sort | while read -r _ crates; do
    printf '\n================ %s\n\n' "$(sort -u "$crates" | paste -s -d ' ')"
    cat "${crates%.crates}.text"
done
