#!/usr/bin/env bash
# Builds the real helm from pinned Go modules (hack/tools/helm) into .tools/, once: the tests of the chart
# need it. Progress goes to standard error; standard output gets one line, HELM=….
set -euo pipefail

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/go-tool.sh"
version=$(sed -n 's/.*helm.sh\/helm\/v4 \(v[0-9.]*\).*/\1/p' "$hack/tools/helm/go.mod" | head -n 1)
go_tool helm HELM '4 minutes' helm.sh/helm/v4/cmd/helm \
    "-X helm.sh/helm/v4/internal/version.version=$version"
