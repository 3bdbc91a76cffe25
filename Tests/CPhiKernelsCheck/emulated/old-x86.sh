#!/bin/sh
# Checks x86-64 CPUs of other ages under QEMU: a Core 2, which has nothing beyond SSSE3 and where only the reference may run and
# no illegal instruction may come, and a Haswell, where avx2 must run.
set -e
here=$(dirname "$0")
out=${1:-.build/check}
"$here/needs.sh" qemu-user-static
"$here/build.sh" x86_64-linux-gnu "$out/x86-64"
"$here/run.sh" "$out" qemu-x86_64-static -cpu Conroe "$out/x86-64" reference
"$here/run.sh" "$out" qemu-x86_64-static -cpu Haswell "$out/x86-64" avx2
