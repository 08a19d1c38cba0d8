#!/usr/bin/env bash
# Builds the documentation as a site: target/site
#
# mdBook takes one folder of pages, and ours stand where they belong in the repository. So they are staged
# with what they link to, each at its place, and the links hold on the site as they do in the repository.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
mdbook=$(hack/cargo-tool.sh mdbook 0.5.4 --no-default-features --features search)/mdbook
stage=target/site-pages
rm -rf "$stage" target/site
mkdir -p "$stage"
cp hack/site/book.toml hack/site/SUMMARY.md "$stage"
git ls-files -z '*.md' LICENSE 'deploy/*' 'crds/*' | grep -zv '^hack/' | xargs -0 cp --parents -t "$stage"

# A server of files shows no folder, and mdBook copies what is no page.
find "$stage/deploy" "$stage/crds" -type d | while read -r folder; do
    {
        printf '<!doctype html><meta charset="utf-8"><title>%s</title><ul>\n' "${folder#"$stage/"}"
        for entry in "$folder"/*; do
            name=${entry##*/}
            printf '<li><a href="%s">%s</a>\n' "${name/%.md/.html}" "$name"
        done
        printf '</ul>\n'
    } > "$folder/index.html"
done

"$mdbook" build "$stage" >&2
rm "target/site/book.toml"
printf '%s\n' "$root/target/site/index.html"
