#!/usr/bin/env bash
# Changes src/lifecycle in every way that cargo-mutants knows, and tells which changes no test of the
# core notices: hack/mutants.sh [OPTION OF CARGO-MUTANTS...]
#
# Three rounds, each for what the one before missed: the tables and walks (a second each); the properties
# and the walks through worlds; the simulation (SIMULATION_RUNS of them, 1,000 unless that is set). For the
# first two a copy without the other modules and binaries builds in seconds: some 20 mutants a minute on an
# idle core. With `-f src/lifecycle/protocol/slot.rs`, that file alone.
# What was missed: target/mutants/mutants.out.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH="$(hack/cargo-tool.sh cargo-mutants 27.1.0):$PATH"
export PATH

tree=$PWD/target/mutants/tree
mkdir -p "$tree/src" "$tree/tests"
rm -rf "$tree"/{src,tests}/* target/mutants/mutants.out
ln -sfn "$PWD/crates" "$tree/crates"
ln -sfn "$PWD/tests/harness" "$tree/tests/harness"
cp Cargo.lock rust-toolchain.toml clippy.toml "$tree"
cp -r src/api src/lifecycle "$tree/src"
cp -r tests/lifecycle "$tree/tests"
sed '/^pub mod \(config\|controller\|telemetry\);$/d' src/lib.rs > "$tree/src/lib.rs"
# Without what is not copied: the binary and the demo.
awk '/^\[/ { keep = !/^\[\[(bin|example|bench)\]\]/ } keep && !/^default-run/' Cargo.toml > "$tree/Cargo.toml"

export CARGO_PROFILE_DEV_DEBUG=0 RUST_TEST_THREADS=2 RUST_BACKTRACE=0 INSTA_UPDATE=no
[[ $# -gt 0 ]] || set -- -f 'src/lifecycle/**'
mutate() {
    # 2 and 3: a mutant was missed, or timed out. Both are what is to be seen.
    cargo mutants --dir "$tree" --output target/mutants --in-place --baseline skip --timeout 300 \
        "$@" || [[ $? == [23] ]]
}
echo "mutants: building and running the tests once, unchanged" >&2
(cd "$tree" && cargo test --quiet --test lifecycle)
mutate "$@" -- --test lifecycle -- --skip properties:: --skip liveness:: --skip worlds::
echo "mutants: once more what was missed, with all tests" >&2
mutate --iterate "$@" -- --test lifecycle

[[ -s target/mutants/mutants.out/missed.txt ]] || exit 0
echo "mutants: what is left, with the simulation" >&2
tree=$PWD/target/mutants/whole
mkdir -p "$tree"
rm -rf "$tree"/{src,tests,crates,hack}
git ls-files -z | xargs -0 cp --parents -t "$tree"
# The same seeds for each, so that a mutant is caught or missed by what it is.
export SIMULATION_FIRST=1 SIMULATION_RUNS=${SIMULATION_RUNS:-1000}
mutate --iterate "$@" -- --test simulation -- production_keeps_the_laws
