#!/usr/bin/env bash
# roots.sh SUITE COMMAND...: runs a command with $PHI_ROOT, a root file system of a Debian release without Swift, made by debootstrap.
set -euo pipefail
suite=$1
shift
if [ "$(id -u)" != 0 ]; then
    echo "debootstrap and the installation of packages need root: sudo make release-check" >&2
    exit 1
fi
command -v debootstrap >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends debootstrap; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# What a program that embeds the library, and a Python environment, need; the packages need none of it.
debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev,pkgconf,python3-venv "$suite" "$folder/root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" \
    >"$folder/log" || { tail -n 20 "$folder/log" >&2; exit 1; }
PHI_ROOT=$folder/root "$@"
