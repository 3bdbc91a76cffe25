#!/bin/sh
# old-x86.sh [PHI]: checks x86-64 CPUs of other ages under QEMU. A Core 2 has nothing beyond SSSE3: only the reference may run, and
# no illegal instruction may come, neither in the kernels nor in the whole command PHI, which must complete a prompt as it does on
# this machine. On a Haswell avx2 must run.
set -e
here=$(dirname "$0")
out=.build/check
# QEMU's Core 2 lacks cmpxchg16b, which the real one has and Swift's runtime needs.
core2="qemu-x86_64-static -cpu Conroe,+cx16"
"$here/needs.sh" qemu-user-static
"$here/build.sh" x86_64-linux-gnu "$out/x86-64"
"$here/run.sh" "$out" $core2 "$out/x86-64" reference
"$here/run.sh" "$out" qemu-x86_64-static -cpu Haswell "$out/x86-64" avx2

[ -n "$1" ] || exit 0
echo "-- $1 on a Core 2"
export SWIFT_BACKTRACE=enable=no
$core2 "$1" info --cpu | tee "$out/log"
grep -q 'reference (used)' "$out/log"
complete() { "$@" complete -n 12 --threads 2 "def add(a, b):" 2>/dev/null; }
complete $core2 "$1" > "$out/there"
complete "$1" > "$out/here"
cat "$out/there"
cmp "$out/here" "$out/there" || { echo "FAILED: the completion differs from this machine's" >&2; exit 1; }
