# Sourced by the scripts that build one Go program from pinned modules, in a folder below hack/tools, into
# .tools/, once.
#
#   go_tool NAME VARIABLE TIME PACKAGE [LDFLAGS]
#
# Progress goes to standard error; standard output gets one line, VARIABLE=….
#
#   go_module NAME VARIABLE MODULE FOLDER
#
# gives a folder of the source of one of its modules, by the same line.
go_tool() {
    local name=$1 variable=$2 time=$3 package=$4 flags="-s -w ${5:-}"
    local root module folder stamp binary started
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    . "$root/hack/progress.sh"
    module=$root/hack/tools/$name
    folder=${ZENLAYER_TOOLS_DIR:-$root/.tools}/$name
    stamp=$(cat "$module"/* "$root/hack/build-$name.sh" "${BASH_SOURCE[0]}" | cksum | cut -d ' ' -f 1)
    binary=$folder/$name-$stamp
    mkdir -p "$folder"
    if [ ! -x "$binary" ]; then
        command -v go >/dev/null || {
            echo 'error: go is not on the PATH: install Go 1.26 or newer' >&2
            return 1
        }
        exec 9>"$folder/lock"
        if command -v flock >/dev/null; then flock 9; fi
    fi
    if [ ! -x "$binary" ]; then
        echo "$name: building; about $time on two cores the first time" >&2
        started=$SECONDS
        build() {
            cd "$module" && GOFLAGS=-mod=readonly go build -trimpath -ldflags "$flags" \
                -o "$binary.partial" "$package"
        }
        with_progress "$name:" build || {
            echo "error: go build of hack/tools/$name failed; its messages stand above" >&2
            return 1
        }
        mv "$binary.partial" "$binary"
        printf '%s: done, %d s\n' "$name" $((SECONDS - started)) >&2
    fi
    printf '%s=%s\n' "$variable" "$binary"
}

go_module() {
    local module folder
    module=$(cd "$(dirname "${BASH_SOURCE[0]}")/tools/$1" && pwd)
    folder=$(cd "$module" && go mod download -json "$3" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    printf '%s=%s\n' "$2" "$folder/$4"
}
