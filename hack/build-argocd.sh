#!/usr/bin/env bash
# Builds the real Argo CD (one binary, all of its programs) from pinned Go modules (hack/tools/argocd) into .tools/,
# once: a test of GitOps needs it. Progress goes to standard error; standard output gets two lines: ARGOCD=…, and
# ARGOCD_CRDS=…, the folder of its CRDs.
set -euo pipefail

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$hack/go-tool.sh"
go_tool argocd ARGOCD '8 minutes' github.com/argoproj/argo-cd/v3/cmd
go_module argocd ARGOCD_CRDS github.com/argoproj/argo-cd/v3 manifests/crds
