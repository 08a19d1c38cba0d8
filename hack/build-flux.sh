#!/usr/bin/env bash
# Builds the real kustomize-controller of Flux from pinned Go modules (hack/tools/flux) into .tools/, once: a
# test of GitOps needs it. Progress goes to standard error; standard output gets two lines: FLUX=…, and FLUX_CRDS=…,
# the folder of its CRD.
set -euo pipefail

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/go-tool.sh"
go_tool flux FLUX '4 minutes' github.com/fluxcd/kustomize-controller
go_module flux FLUX_CRDS github.com/fluxcd/kustomize-controller config/crd/bases
