#!/bin/sh
# before.sh install|python|package: says in one line, before the build, why what follows it would fail: an installation into $DESTDIR$PREFIX by
# `make $GOALS`, manual pages by $PYTHON, the packages.
fail() {
    echo "$1" >&2
    exit 1
}

# The last part of a path that exists.
existing() {
    place=$1
    until [ -e "$place" ]; do place=$(dirname -- "$place"); done
}

case $1 in
install)
    case $PREFIX in
    "" | /*) ;;
    *) fail "PREFIX must be a path from the root, such as PREFIX=\"\$HOME/.local\"; it is $PREFIX" ;;
    esac
    for folder in bin lib/pkgconfig include share/man/man1 share/bash-completion/completions share/zsh/site-functions \
        share/fish/vendor_completions.d; do
        existing "$DESTDIR$PREFIX/$folder"
        [ -d "$place" ] || fail "$place is not a folder, so nothing can be installed into $DESTDIR$PREFIX"
        [ -w "$place" ] && [ -x "$place" ] ||
            fail "you may not write into $place: make $GOALS PREFIX=\"\$HOME/.local\", or sudo env PATH=\"\$PATH\" make $GOALS"
    done
    ;;
python)
    # Without quotes: it may have options.
    $PYTHON -c "" 2>/dev/null || fail "$PYTHON does not run, which writes the manual pages: install python3"
    ;;
package)
    for program in dpkg-deb readelf; do
        command -v "$program" >/dev/null || fail "$program is missing: packages are made on Debian or Ubuntu, with dpkg and binutils"
    done
    ls /usr/share/doc/gcc-*-base/copyright >/dev/null 2>&1 ||
        fail "the licence of GNU's C++ library, /usr/share/doc/gcc-*-base/copyright, is missing: packages are made on Debian or Ubuntu"
    ;;
esac
