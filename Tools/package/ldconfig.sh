#!/bin/sh
# ldconfig.sh FOLDER: lets the system's loader find libphi in FOLDER, or says what programs need to find it there.
folder=$1
listed() {
    [ "$folder" = /usr/lib ] || PATH=$PATH:/sbin:/usr/sbin ldconfig -v -N -X 2>/dev/null | grep -q "^$folder:"
}
if ! listed; then
    echo "$folder is not on the loader's path: link programs with -Wl,-rpath,$folder"
elif [ "$(id -u)" = 0 ]; then
    PATH=$PATH:/sbin:/usr/sbin ldconfig
else
    echo "Run ldconfig as root, so that programs find libphi."
fi
