"""Tests Tools/deploy/nginx.conf: two phi-servers behind nginx, one of them killed under load.

    python Tests/PhiServerCheck/nginx.py

Streams must arrive piece by piece and both servers must get requests. When one is killed, only its streams break off:
the other server answers every request that had no answer yet, with the text of `phi complete`. While the queues of both
are full, which stand-ins play, clients are told when to come again. Needs nginx.
"""
from __future__ import annotations

import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from served import END_OF_TEXT, REPOSITORY, Served, completed

PROMPT = "def add(a, b):\n"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(port: int, fields: dict) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/completions", json.dumps(fields), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


class Balancer:
    """nginx with the repository's file before servers at two ports, ended with the block that it is for.

    It listens on a free port. It is started as the file says, by an ordinary user.
    """

    def __init__(self, one: int, two: int, *changes: tuple[str, str]) -> None:
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory()
        text = (REPOSITORY / "Tools/deploy/nginx.conf").read_text()
        assert "/usr/sbin/nginx -e stderr -p " in text
        for old, new in (
                ("127.0.0.1:8081", f"127.0.0.1:{one}"), ("127.0.0.1:8082", f"127.0.0.1:{two}"),
                ("127.0.0.1:8080", f"127.0.0.1:{self.port}"), ("/dev/stdout", "access.log"), *changes):
            assert old in text, old
            text = text.replace(old, new)
        file = Path(self.folder.name) / "nginx.conf"
        file.write_text(text)
        ordinary = {}
        if os.getuid() == 0:
            ordinary = {"user": 65534, "group": 65534, "extra_groups": []}
            os.chown(self.folder.name, 65534, 65534)
        self.process = subprocess.Popen(
            [NGINX, "-e", "stderr", "-p", self.folder.name, "-c", file], stderr=subprocess.PIPE, **ordinary)

    def __enter__(self) -> Balancer:
        wait_for(self.port, self.process)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)
        self.folder.cleanup()


class StandIn(http.server.ThreadingHTTPServer):
    """Stands for a phi-server: answers every request with one status after some seconds, and counts them."""

    request_queue_size = 64

    def __init__(self, status: int, seconds: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.seconds, self.count = status, seconds, 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """nginx ends connections that it keeps when it ends itself."""


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.count += 1
        time.sleep(self.server.seconds)
        self.send_response(self.server.status)
        if self.server.status != 200:
            self.send_header("Retry-After", "7")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    if NGINX is None:
        raise SystemExit("nothing was checked: there is no nginx")
    full_queues()
    once_after_a_timeout()
    expected = {n: completed(PROMPT, n) for n in range(1, 60)}
    with Served("--parallel", "2") as one, Served("--parallel", "2") as two, Balancer(one.port, two.port) as balancer:
        own_names_only(balancer.port)
        unbuffered(balancer.port)
        kill_one(balancer.port, one, two, expected)
    print("nginx: streams are unbuffered; one server killed in mid-load cost its streams only; the other took over; "
          "full queues are told to clients")


def statuses(port: int, count: int) -> set[tuple[int, str | None]]:
    """What that many requests are answered with, eight at a time: statuses and when to come again."""

    def ask(_: int) -> tuple[int, str | None]:
        connection, answer = post(port, {"prompt": PROMPT})
        answer.read()
        connection.close()
        return answer.status, answer.getheader("Retry-After")

    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(ask, range(count)))


def full_queues() -> None:
    """While both queues are full the servers' own answer comes, and at once another when one is free again."""
    with StandIn(429) as one, StandIn(429) as two, Balancer(one.server_port, two.server_port) as balancer:
        told = statuses(balancer.port, 40)
        assert told == {(429, "7")}, told
        for free, other in ((one, two), (two, one)):
            free.status = 200
            told = statuses(balancer.port, 40)
            assert told == {(200, None)}, told
            # The other one is shutting down; then the queue of the first is full, too.
            other.status, free.status = 503, 429
            told = statuses(balancer.port, 40)
            assert told <= {(429, "7"), (503, "7")}, told
        # One is dead, and the queue of the other full.
        one.shutdown()
        one.server_close()
        one.status = two.status = 429
        told = statuses(balancer.port, 40)
        assert told <= {(429, "7"), (503, "1")}, told
        two.status = 200
        told = statuses(balancer.port, 40)
        assert told == {(200, None)}, told
        two.shutdown()


def once_after_a_timeout() -> None:
    """A request that a server gives up after a while is not computed again by the other."""
    with StandIn(503, 1.5) as one, StandIn(503, 1.5) as two, Balancer(
            one.server_port, two.server_port, ("next_upstream_timeout 10s", "next_upstream_timeout 1s")) as balancer:
        told = statuses(balancer.port, 8)
        assert (told, one.count + two.count) == ({(503, "7")}, 8), (told, one.count, two.count)
        one.shutdown()
        two.shutdown()


def wait_for(port: int, balancer: subprocess.Popen) -> None:
    for _ in range(100):
        if balancer.poll() is not None:
            sys.exit(f"nginx: {balancer.stderr.read().decode()}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("nginx does not listen")


def own_names_only(port: int) -> None:
    """A page of a name that leads here must not use the server."""
    for host, status in ((f"127.0.0.1:{port}", 200), ("localhost", 200), ("evil.example", 403), (f"a.b:{port}", 403)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/health", headers={"Host": host})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status == status and ("error" in body) == (status == 403), (host, answer.status, body)
        connection.close()


def unbuffered(port: int) -> None:
    """A stream's first event is there long before its last."""
    start = time.monotonic()
    connection, answer = post(
        port,
        {"prompt": PROMPT, "max_tokens": 900, "temperature": 1, "stream": True, "logit_bias": {END_OF_TEXT: -100}})
    assert answer.status == 200 and answer.getheader("X-Request-Id"), answer.status
    first = last = None
    while line := answer.readline():
        if line.startswith(b"data: "):
            first, last = first or time.monotonic(), time.monotonic()
    assert first - start < (last - start) / 2, "events came all at once"
    connection.close()


def kill_one(port: int, one: Served, two: Served, expected: dict[int, str]) -> None:
    whole: list[bool] = []
    streams = {"whole": 0, "broken": 0}
    faults: list[str] = []
    killed = threading.Event()

    def answers(number: int) -> None:
        round = after = 0
        while after < 10 and not faults:  # however fast the machine is, some requests follow the kill
            after += killed.is_set()
            round += 1
            tokens = 1 + (number * 7 + round) % 59
            try:
                connection, answer = post(port, {"prompt": PROMPT, "max_tokens": tokens, "temperature": 0})
                data = json.loads(answer.read())
                if answer.status != 200 or data["choices"][0]["text"] != expected[tokens]:
                    faults.append(f"{answer.status} {data}")
                connection.close()
                whole.append(killed.is_set())
            except Exception as error:
                faults.append(repr(error))

    def stream() -> None:
        while not killed.is_set():
            connection, answer = post(port, {"prompt": PROMPT, "max_tokens": 400, "temperature": 1, "stream": True})
            ended = False
            try:
                while line := answer.readline():
                    ended = ended or line.strip() == b"data: [DONE]"
            except (http.client.HTTPException, OSError):
                pass
            streams["whole" if ended else "broken"] += 1
            connection.close()

    threads = [threading.Thread(target=answers, args=(number,)) for number in range(6)]
    threads += [threading.Thread(target=stream) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    for server in (one, two):
        assert server.metric("phi_completion_tokens_total") > 0, "a server got no work"
    one.process.kill()
    killed.set()
    for thread in threads:
        thread.join()
    if faults:
        sys.exit("nginx: " + "; ".join(faults[:5]))
    assert streams["broken"] <= 3, streams
    print(f"nginx: {len(whole)} answers, {sum(whole)} after the kill; streams {streams}")


if __name__ == "__main__":
    main()
