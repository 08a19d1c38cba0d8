#!/usr/bin/env bash
# Builds hack/tools/status-checks (kstatus, Flux's status rules, Argo CD's Lua engine) from pinned
# Go modules into .tools/, once. Progress goes to standard error; standard output gets one line,
# STATUS_CHECKS=….
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/go-tool.sh"
go_tool status-checks STATUS_CHECKS '3 minutes' .
