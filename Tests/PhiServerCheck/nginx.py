"""Tests Tools/deploy/nginx.conf: two phi-servers behind nginx, one of them killed under load.

    python Tests/PhiServerCheck/nginx.py

Streams must arrive piece by piece and both servers must get requests. When one is killed, only its streams break off:
the other server answers every request that had no answer yet, with the text of `phi complete`. Needs nginx.
"""
from __future__ import annotations

import http.client
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
from pathlib import Path

from served import END_OF_TEXT, REPOSITORY, Served, completed

PROMPT = "def add(a, b):\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(port: int, fields: dict) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/completions", json.dumps(fields), {"Content-Type": "application/json"})
    return connection, connection.getresponse()


def main() -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        raise SystemExit("nothing was checked: there is no nginx")
    expected = {n: completed(PROMPT, n) for n in range(1, 60)}
    with Served("--parallel", "2") as one, Served("--parallel", "2") as two, tempfile.TemporaryDirectory() as folder:
        port = free_port()
        text = (REPOSITORY / "Tools/deploy/nginx.conf").read_text()
        for old, new in (
                ("8081", one.port), ("8082", two.port), ("127.0.0.1:8080", f"127.0.0.1:{port}"),
                ("/dev/stdout", "access.log")):
            assert old in text, old
            text = text.replace(str(old), str(new))
        (Path(folder) / "nginx.conf").write_text(text)
        # Started by root, nginx would serve as nobody, who may not write here.
        command = [nginx, "-p", folder, "-c", f"{folder}/nginx.conf"] + (
            ["-g", "user root;"] if os.getuid() == 0 else [])
        balancer = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            wait_for(port, balancer)
            unbuffered(port)
            kill_one(port, one, two, expected)
        finally:
            balancer.send_signal(signal.SIGQUIT)
            balancer.wait(30)
    print("nginx: streams are unbuffered; one server killed in mid-load cost its streams only; the other took over")


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
