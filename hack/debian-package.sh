# Sourced: what is not on the PATH comes from Debian's packages, without a right to install anything.

# unpacked FOLDER FILE PACKAGE…: fetches the packages by apt-get and unpacks them into FOLDER, unless FILE is there.
unpacked() {
    local folder=$1 file=$2 partial package
    shift 2
    [ ! -x "$folder/$file" ] || return 0
    { command -v apt-get && command -v dpkg-deb; } >/dev/null || {
        echo "error: $1 is not on the PATH, and there is no apt-get to fetch it: install it" >&2
        exit 1
    }
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    if command -v flock >/dev/null; then flock 9; fi
    [ ! -x "$folder/$file" ] || return 0
    echo "$1: fetching the packages of the distribution" >&2
    partial=$(mktemp -d "$folder/partial.XXXXXX")
    # shellcheck disable=SC2064 # now, while the name is known
    trap "rm -rf '$partial'" EXIT
    (cd "$partial" && apt-get download -q "$@" >&2)
    for package in "$partial"/*.deb; do dpkg-deb -x "$package" "$partial"; done
    cp -r "$partial/usr" "$folder/"
}
