# Sourced by the other scripts: saying what is done, and the packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p build  # logs too: another user's must not be in the way
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime  # precompiled headers hit the cache too

say() { printf '==> %s\n' "$*"; }

# install build|all|bench: what script/packages lists for it and this machine lacks. Nothing missing: no network is touched.
install() {
    local wanted missing=() name
    case $1 in
    build) wanted=$(awk -v RS= 'NR == 1' script/packages) ;;
    all) wanted=$(awk -v RS= 'NR <= 2' script/packages) ;;
    bench) wanted=$(awk -v RS= 'NR == 1 || NR == 3' script/packages) ;;
    esac
    for name in $(grep -v '^#' <<<"$wanted"); do
        dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
    done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${#missing[@]} Debian packages (a minute or two): ${missing[*]}"
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >build/apt.log 2>&1 ||
        { tail -20 build/apt.log; echo "installing packages failed; the log is build/apt.log" >&2; return 1; }
}

# configure PRESET [CMAKE OPTIONS]; build PRESET [TARGETS]
configure() { cmake --preset "$1" "${@:2}" >"build/cmake-$1.log" 2>&1 || { cat "build/cmake-$1.log"; return 1; }; }
build() { ninja -C "build/$1" "${@:2}" | grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Re-checking)|^ninja: (Entering|no work)' || return "${PIPESTATUS[0]}"; }
