#!/usr/bin/env bash
# Builds hack/tools/release (go-containerregistry: folders to OCI layouts) from pinned Go modules into .tools/,
# once. Progress goes to standard error; standard output gets one line, RELEASE=….
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/go-tool.sh"
go_tool release RELEASE '20 seconds' .
