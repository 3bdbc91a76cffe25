#!/bin/sh
# Checks avxvnni where the CPU has AVX2: its two instructions more, vpdpbusd and vpdpwssd, are replaced by AVX2's. No emulator that
# Debian 12 has knows them, so what stays unchecked are these instructions themselves.
set -e
here=$(dirname "$0")
out=.build/check
"$here/build.sh" x86_64-linux-gnu "$out/avxvnni" -D_DEFAULT_SOURCE= -include "$here/avxvnni.h"
"$here/run.sh" "$out" "$out/avxvnni" -f avxvnni
