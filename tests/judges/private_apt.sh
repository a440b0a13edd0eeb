# shellcheck shell=sh
# Packages below a folder of their own, without root and without touching the system. To be sourced, with `set -eu`.
# private_apt FOLDER: `$apt` becomes a new folder in FOLDER, and `private` an apt-get that knows nothing else;
# `unpack` extracts what it downloaded into $apt/root.
# private_sources DISTRIBUTION SUITE COMPONENTS: reads the list of a suite from the mirror that this machine uses.
# Exits with 75 when the mirror can't be reached.
UNREACHABLE=75

private_apt() {
    command -v apt-get > /dev/null || { echo 'judges: apt-get is needed (Debian or Ubuntu)' >&2; exit 1; }
    mkdir -p "$1"
    apt=$(mktemp -d "$1/apt.XXXXXX")
    trap 'rm -rf "$apt"' EXIT
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/empty.d" "$apt/root"
    : > "$apt/status"
}

private() {
    # The list of a rolling suite may be past its date on a mirror; its signature is checked all the same.
    apt-get -qq -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::State::lists=$apt/lists" \
        -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives" -o "Dir::Etc::sourcelist=$apt/sources" \
        -o "Dir::Etc::sourceparts=$apt/empty.d" -o "Dir::Etc::preferencesparts=$apt/empty.d" \
        -o APT::Sandbox::User= -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o Debug::NoLocking=1 "$@"
}

private_sources() {
    # Known without package lists.
    mirror=$(apt-get --print-uris update | sed -n "s#^'\(.*/\)dists/[a-z]*/InRelease'.*#\1#p" | head -n 1)
    [ -n "$mirror" ] || { echo 'judges: apt-get knows no mirror; is /etc/apt/sources.list.d empty?' >&2; exit 1; }
    echo "deb [signed-by=/usr/share/keyrings/$1-archive-keyring.gpg] $mirror $2 $3" > "$apt/sources"
    private -o APT::Update::Error-Mode=any update > "$apt/log" 2>&1 || { cat "$apt/log" >&2; exit "$UNREACHABLE"; }
}

unpack() {
    private install --yes --download-only --no-install-recommends "$@" \
        > "$apt/log" 2>&1 || { cat "$apt/log" >&2; exit 1; }
    for package in "$apt"/archives/*.deb; do
        dpkg-deb --extract "$package" "$apt/root"
        rm "$package"
    done
}
