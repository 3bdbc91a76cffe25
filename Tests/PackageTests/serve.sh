#!/bin/bash
# serve.sh BODY HEALTH-CHECK... -- SERVER...: starts the server, waits until the health check succeeds, prints the answer to a completion
# request, ends the server, and checks that the health check fails then.
set -u
body=$1
shift
health=()
while [ "$1" != -- ]; do health+=("$1"); shift; done
shift
"$@" >/tmp/address 2>/tmp/log &
server=$!
fail() { echo "$1" >&2; cat /tmp/log >&2; exit 1; }
for _ in $(seq 100); do
    "${health[@]}" 2>/dev/null && break
    kill -0 $server 2>/dev/null || fail "the server has ended"
    sleep 0.1
done
"${health[@]}" || fail "the health check fails"
exec 3<>/dev/tcp/127.0.0.1/8080
printf 'POST /v1/completions HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' ${#body} "$body" >&3
cat <&3
exec 3<&-
kill -TERM $server
wait $server || fail "the server ended with status $?"
"${health[@]}" 2>/dev/null && fail "the health check succeeds without a server"
exit 0
