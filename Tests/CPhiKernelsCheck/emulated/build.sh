#!/bin/sh
# build.sh TRIPLE OUT [OPTION ...]: kernels, their cases and the check program for another machine, linked statically, or for this
# one where TRIPLE is "native". parallel.c, thread_state.c and cores.c are left out: threads are not what is checked. Does nothing when OUT is up to date.
set -e
here=$(dirname "$0")/..
sources=$here/../../Sources
kernels=$sources/CPhiKernels
out=$2
machine="--target=$1 -static"
[ "$1" = native ] && machine=
shift 2
mkdir -p "$(dirname "$out")"
[ -x "$out" ] && [ -z "$(find "$kernels" "$sources/CPhiKernelCases" "$sources/CPhiSupport" "$here" -type f -newer "$out")" ] && exit 0
${CLANG:-clang} $machine -std=c11 -O2 -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror=implicit \
    -I"$kernels/include" -I"$sources/CPhiKernelCases/include" -I"$sources/CPhiSupport/include" -o "$out" "$@" \
    "$kernels"/reference.c "$kernels"/rows.c "$kernels"/items.c "$kernels"/instruction_sets.c "$kernels"/isa/*.c \
    "$sources"/CPhiKernelCases/*.c "$sources"/CPhiSupport/sha256.c "$here"/main.c -lm
