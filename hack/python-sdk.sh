#!/usr/bin/env bash
# Provides the official Python SDK of Zenlayer Cloud for the conformance test: a virtual environment
# in .tools/, made once from pinned hashes (later runs only look). Needs python3, 3.10 or newer.
#
# Progress goes to standard error. Standard output gets the path of its interpreter.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
requirements=$root/hack/python-sdk/requirements.txt
tools=${ZENLAYER_TOOLS_DIR:-$root/.tools}
folder=$tools/python-sdk
python=$folder/bin/python

say() { printf 'python SDK: %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The copy of the requirements is written last: without it the folder is not whole.
finish_if_current() {
    if [ -x "$python" ] && cmp -s "$requirements" "$folder/requirements.txt"; then
        printf '%s\n' "$python"
        exit 0
    fi
}

finish_if_current
command -v python3 >/dev/null || fail "python3 is not on the PATH: install it, 3.10 or newer"
mkdir -p "$tools"
# Two test runs at once must not write the same folder.
if command -v flock >/dev/null; then
    exec 9>"$tools/python-sdk.lock"
    flock 9
    finish_if_current
fi
say "1/2 virtual environment in $folder"
rm -rf "$folder"
python3 -m venv "$folder" || fail "python3 -m venv failed: install python3-venv, or its like"
say "2/2 zenlayercloud-sdk-python and what it needs"
"$python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
    --require-hashes --requirement "$requirements" >&2 ||
    fail "pip could not install $requirements: give it a way to a package index"
cp "$requirements" "$folder/requirements.txt"
printf '%s\n' "$python"
