#!/bin/sh
# needs.sh PACKAGE ...: installs what is missing of these Debian packages.
missing=
for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
command -v apt-get >/dev/null || { echo "needed, and only Debian's names are known: $missing" >&2; exit 1; }
admin=
[ "$(id -u)" = 0 ] || admin=sudo
echo "Installing what is missing: $admin apt-get install$missing"
$admin apt-get update -q
# shellcheck disable=SC2086
$admin env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
