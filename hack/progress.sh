# Sourced by the build scripts.

# Runs a build and says every 15 s how long it has taken: with_progress "LABEL" COMMAND...
# The label stands at the start of each line; the seconds count from `started`, which the caller sets.
with_progress() {
    local label=$1 ticks=0 build
    shift
    "$@" &
    build=$!
    # shellcheck disable=SC2064 # the process id of now
    trap "kill $build 2>/dev/null || true" EXIT
    while kill -0 "$build" 2>/dev/null; do
        sleep 1
        ticks=$((ticks + 1))
        if [ $((ticks % 15)) -eq 0 ]; then
            printf '%s %4d s\n' "$label" $((SECONDS - started)) >&2
        fi
    done
    local result=0
    wait "$build" || result=$?
    trap - EXIT
    return "$result"
}
