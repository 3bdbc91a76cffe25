#!/bin/sh
# Checks neon on an emulated Arm: a CPU with all that QEMU knows, where neon must run, and a Cortex-A72, which has no dot product
# and where only the reference may. The reference must leave the same bytes in memory on both and on this machine.
set -e
here=$(dirname "$0")
out=.build/check
"$here/needs.sh" qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross
"$here/build.sh" aarch64-linux-gnu "$out/aarch64"
"$here/run.sh" "$out" qemu-aarch64-static -cpu max "$out/aarch64" neon
"$here/run.sh" "$out" qemu-aarch64-static -cpu cortex-a72 "$out/aarch64" reference
