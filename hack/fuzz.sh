#!/usr/bin/env bash
# Fuzzes one target for some seconds: hack/fuzz.sh decoder|request [SECONDS]
#
# Needs a nightly toolchain; cargo-fuzz is installed below .tools/ where it is missing. What is
# found goes to fuzz/corpus (not checked in); the seeds in fuzz/seeds stay small. A crash is kept
# in fuzz/artifacts, and the exit status is not 0.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?"usage: hack/fuzz.sh decoder|request [SECONDS]"}
seconds=${2:-600}
# A file of the size of an answer with a hundred instances. The limits of real bodies are larger,
# and enforced before the parsers.
max_len=65536

if [[ ! -d fuzz/seeds/$target ]]; then
    echo "fuzz: no target $target: choose one of $(ls fuzz/seeds | xargs)" >&2
    exit 2
fi
if ! rustup toolchain list | grep -q '^nightly'; then
    echo "fuzz: no nightly toolchain: run 'rustup toolchain install nightly --profile minimal'" >&2
    exit 2
fi
PATH="$(hack/cargo-tool.sh cargo-fuzz 0.13.2):$PATH"
export PATH
mkdir -p "fuzz/corpus/$target"
echo "fuzz: $target for $seconds s; the first build takes some minutes" >&2
exec cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$seconds" -max_len="$max_len" -dict=fuzz/words.dict \
    -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
