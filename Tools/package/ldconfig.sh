#!/bin/sh
# ldconfig.sh FOLDER: lets the system's loader find libphi in FOLDER, or says what programs need to find it there.
PATH=$PATH:/sbin:/usr/sbin
# As ldconfig spells it: no slash twice or at the end.
folder=$(printf %s "$1" | tr -s /)
folder=${folder%/}
listed() {
    # Its lines of folders are "/usr/local/lib: (from ...)".
    [ "$folder" = /usr/lib ] || ldconfig -v -N -X 2>/dev/null | cut -d : -f 1 | grep -Fqx -- "$folder"
}
if ! listed; then
    echo "$folder is not on the loader's path: link programs with -Wl,-rpath,$folder"
elif [ "$(id -u)" = 0 ]; then
    ldconfig
else
    echo "Run ldconfig as root, so that programs find libphi."
fi
