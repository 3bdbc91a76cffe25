#!/bin/sh
# Checks avx512 on a CPU that this machine need not have: Bochs emulates an Intel Tiger Lake, which has AVX-512 with VNNI. No
# operating system: the check program, the small host in bochs/ and the code at reset make one ROM. Minutes.
set -e
here=$(dirname "$0")
out=.build/check/bochs
"$here/needs.sh" bochs bochs-term vgabios binutils
mkdir -p "$out"
"$here/build.sh" x86_64-linux-gnu "$out/check" -D_DEFAULT_SOURCE= -include "$here/bochs/halves.h"
cc=${CLANG:-clang}
$cc --target=x86_64-linux-gnu -c "$here/bochs/rom.S" -o "$out/rom.o"
ld --oformat binary -Ttext=0 --section-start=.reset=0xfff0 -e _start "$out/rom.o" -o "$out/reset.bin"
$cc --target=x86_64-linux-gnu -std=gnu11 -O2 -Wall -Wextra -ffreestanding -fno-pic -mno-red-zone -mgeneral-regs-only \
    -fno-stack-protector -c "$here/bochs/host.c" -o "$out/host.o"
ld --oformat binary --section-start=.start=0x100000 -Ttext=0x101000 -e start "$out/host.o" -o "$out/host.bin"
strip "$out/check"

# 2 MiB: host (64 KiB), arguments (4 KiB), program, and at the end 64 KiB with the code at reset.
size=$(wc -c < "$out/check")
[ "$size" -le $((2031616 - 69632)) ] || { echo "the check program has $size bytes, too many for the ROM" >&2; exit 1; }
rm -f "$out/rom.bin" "$out/log"
truncate -s 2M "$out/rom.bin"
place() { dd if="$1" of="$out/rom.bin" bs=4096 seek="$2" conv=notrunc status=none; }
place "$out/host.bin" 0
echo "avx512 avx2" | place /dev/stdin 16
place "$out/check" 17
place "$out/reset.bin" 496

# Debian's Bochs is built with its debugger, which waits for "c" to begin.
cp "$here/bochs/bochsrc" "$out/"
cat > "$out/boot" <<'END'
#!/bin/sh
cd "$(dirname "$0")"
echo c | timeout 3600 stdbuf -oL bochs -q -f bochsrc 2>&1 | tee bochs.out | sed -un '/^<bochs:1>/,/^exit status/{/^<bochs:1>/!p}'
grep -q '^exit status 0' bochs.out
END
chmod +x "$out/boot"
"$here/run.sh" .build/check "$out/boot"
