#!/bin/sh
# run.sh OUT COMMAND ...: a run of the check program, perhaps in an emulator. The reference must leave the same bytes in memory there
# as on this machine.
out=$1
shift
echo "-- $*"
{ "$@" 2>&1; echo $? > "$out/status"; } | tee "$out/log"
[ "$(cat "$out/status")" = 0 ] || exit 1
"$(dirname "$0")/build.sh" native "$out/native"
here=$("$out/native" | grep 'digest of the reference')
grep -qxF "$here" "$out/log" || { echo "FAILED: on this machine $here"; exit 1; }
