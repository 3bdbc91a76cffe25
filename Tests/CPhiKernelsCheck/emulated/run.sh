#!/bin/sh
# run.sh OUT COMMAND ...: a run of the check program, perhaps in an emulator. The reference must leave the same bytes in memory there
# as on this machine.
out=$1
native=$(dirname "$out/log")/native
shift
echo "-- $*"
status=0
"$@" > "$out/log" 2>&1 || status=$?
cat "$out/log"
[ "$status" = 0 ] || exit "$status"
"$(dirname "$0")/build.sh" native "$native"
here=$("$native" | grep 'digest of the reference')
grep -qxF "$here" "$out/log" || { echo "FAILED: on this machine $here"; exit 1; }
