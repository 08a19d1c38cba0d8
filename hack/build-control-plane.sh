#!/usr/bin/env bash
# Provides etcd, kube-apiserver and kubectl for the tests and the demo:
#   hack/build-control-plane.sh           of the newest supported Kubernetes
#   hack/build-control-plane.sh oldest    kube-apiserver of the oldest one, beside the same etcd
#
# With KUBEBUILDER_ASSETS set, those binaries are used as they are. Otherwise etcd and
# kube-apiserver are built from pinned Go modules into .tools/ (once; later runs only look).
# kubectl is taken from the PATH and built only where it is missing.
#
# Progress goes to standard error. Standard output gets two lines: KUBEBUILDER_ASSETS=… and
# KUBECTL=….
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/hack/progress.sh"
release=${1:-newest}
case $release in
newest) module=$root/hack/tools/control-plane ;;
oldest) module=$root/hack/tools/control-plane-oldest ;;
*)
    printf 'error: no release %s: choose newest or oldest\n' "$release" >&2
    exit 2
    ;;
esac
tools=${ZENLAYER_TOOLS_DIR:-$root/.tools}

say() { printf 'control plane: %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

finish() {
    printf 'KUBEBUILDER_ASSETS=%s\nKUBECTL=%s\n' "$1" "$2"
    exit 0
}

# The PATH's kubectl, one beside the other binaries, or nothing.
find_kubectl() {
    if command -v kubectl; then return; fi
    if [ -x "$1/kubectl" ]; then printf '%s\n' "$1/kubectl"; fi
}

if [ "$release" = newest ] && [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    for name in etcd kube-apiserver; do
        [ -x "$KUBEBUILDER_ASSETS/$name" ] ||
            fail "KUBEBUILDER_ASSETS is $KUBEBUILDER_ASSETS, which has no executable $name:" \
                "put it there, or unset the variable to have it built"
    done
    kubectl=$(find_kubectl "$KUBEBUILDER_ASSETS")
    [ -n "$kubectl" ] || fail "kubectl is neither on the PATH nor in KUBEBUILDER_ASSETS: install it"
    finish "$KUBEBUILDER_ASSETS" "$kubectl"
fi

version=$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\).*/\1/p' "$module/go.mod" | head -n 1)
stamp=$(cat "$module/go.mod" "$module/go.sum" "${BASH_SOURCE[0]}" | cksum | cut -d ' ' -f 1)
assets=$tools/control-plane/$version-$stamp
mkdir -p "$assets"

if [ "$release" = oldest ] && [ ! -x "$assets/etcd" ]; then
    newest=$("$root/hack/build-control-plane.sh" | sed -n 's/^KUBEBUILDER_ASSETS=//p')
    ln -sf "$newest/etcd" "$assets/etcd"
fi

wanted=()
for name in etcd kube-apiserver; do
    [ -x "$assets/$name" ] || wanted+=("$name")
done
kubectl=$(find_kubectl "$assets")
if [ -z "$kubectl" ]; then
    wanted+=(kubectl)
    kubectl=$assets/kubectl
fi
[ ${#wanted[@]} -gt 0 ] || finish "$assets" "$kubectl"

command -v go >/dev/null || fail "go is not on the PATH: install Go 1.26 or newer, or set KUBEBUILDER_ASSETS"
have=$(go env GOVERSION | sed 's/^go//')
[ "$(printf '1.26\n%s\n' "$have" | sort -V | head -n 1)" = 1.26 ] ||
    fail "go is $have: version 1.26 or newer is needed"

# One build at a time, so that two test runs do not do the work twice.
exec 9>"$tools/control-plane/lock"
if command -v flock >/dev/null; then flock 9; fi

minor=${version#v1.}
minor=${minor%%.*}
flags="-s -w -X k8s.io/component-base/version.gitVersion=$version"
flags+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"

package_of() {
    case $1 in
        etcd) echo go.etcd.io/etcd/server/v3 ;;
        *) echo "k8s.io/kubernetes/cmd/$1" ;;
    esac
}

build() {
    cd "$module" && GOFLAGS=-mod=readonly go build -trimpath -ldflags "$flags" \
        -o "$assets/$1.partial" "$(package_of "$1")"
}

say "building ${wanted[*]} of Kubernetes $version with Go $have; about 7 minutes on two cores the first time"
started=$SECONDS
step=0
for name in "${wanted[@]}"; do
    step=$((step + 1))
    if [ -x "$assets/$name" ]; then continue; fi
    say "$(printf '%d/%d %-15s building' "$step" "${#wanted[@]}" "$name")"
    label=$(printf 'control plane: %d/%d %-15s' "$step" "${#wanted[@]}" "$name")
    with_progress "$label" build "$name" || fail "go build of $name failed; its messages stand above"
    mv "$assets/$name.partial" "$assets/$name"
    size=$(du -m "$assets/$name" | cut -f 1)
    say "$(printf '%d/%d %-15s done, %s MB, %d s' "$step" "${#wanted[@]}" "$name" "$size" $((SECONDS - started)))"
done
finish "$assets" "$kubectl"
