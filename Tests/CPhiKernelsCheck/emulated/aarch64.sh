#!/bin/sh
# Checks i8mm and neon on emulated Arms: a CPU with all that QEMU knows, where both must run, a Neoverse N1, which has no matrix
# product, and a Cortex-A72, which has no dot product either and where only the reference may. The reference must leave the same bytes
# in memory on all of them and on this machine.
set -e
here=$(dirname "$0")
out=.build/check
"$here/needs.sh" qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross
"$here/build.sh" aarch64-linux-gnu "$out/aarch64"
"$here/run.sh" "$out" qemu-aarch64-static -cpu max "$out/aarch64" i8mm neon
"$here/run.sh" "$out" qemu-aarch64-static -cpu neoverse-n1 "$out/aarch64" neon
"$here/run.sh" "$out" qemu-aarch64-static -cpu cortex-a72 "$out/aarch64" reference
