"""Runs phi-server under mixed load and checks its answers and its memory.

    python Tests/PhiServerCheck/load.py --minutes 10

Clients complete prompts of many lengths, streamed or not; a fifth disconnect early; some send bodies that are too long
or not JSON, or prompts that exceed the context. Every completion must equal that of `phi complete` with the same seed.
Memory at the end may exceed that after the first quarter by a tenth and the prefix cache's limit by 96 MiB; no sequence
may still be running. /health is requested all the time, and 99 of 100 answers must come within 50 ms, if nothing else
runs on the machine. Prints counts and times.
"""
from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import threading
import time
from collections import Counter

from served import Served, completed

WORDS = [
    "def", "class", "return", "x", "y", "(", ")", ":", "\n", "    ", "for i in range(10)", "print", "=", "+ 1",
    "import os", '"""Doc."""']

CACHE = 64  # MiB


class Tasks:
    """A fixed set of completions whose answers are known."""

    def __init__(self, count: int, model: str | None) -> None:
        chance = random.Random(7)
        self.all = []
        for number in range(count):
            prompt = " ".join(chance.choice(WORDS) for _ in range(chance.choice([1, 5, 20, 80, 200])))
            temperature = chance.choice([0, 0, 0.7, 1])
            fields = {
                "prompt": prompt, "max_tokens": chance.randrange(1, 60), "temperature": temperature, "seed": number}
            self.all.append((fields, completed(prompt, fields["max_tokens"], temperature, number, model)))


class Load:
    def __init__(self, server: Served, tasks: Tasks, until: float) -> None:
        self.server, self.tasks, self.until = server, tasks, until
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.healths: list[float] = []
        self.lock = threading.Lock()

    def note(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def work(self, number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < self.until and not self.faults:
            try:
                kind = chance.random()
                if kind < 0.20:
                    self.leave(chance)
                elif kind < 0.25:
                    self.misbehave(chance)
                else:
                    self.complete(chance, streams=chance.random() < 0.6)
            except Exception as error:  # whatever it is, it ends the check
                self.faults.append(f"client {number}: {error!r}")

    def send(self, body: bytes) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=300)
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.connection = connection  # kept open as long as the answer is read
        return answer

    def complete(self, chance: random.Random, streams: bool) -> None:
        fields, expected = chance.choice(self.tasks.all)
        answer = self.send(json.dumps({**fields, "stream": streams}).encode())
        if answer.status == 429:
            answer.read()
            self.note("429")
            time.sleep(0.1)
            return
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {answer.read()[:200]!r}")
        if streams:
            text = ""
            while (line := answer.readline()) and line.strip() != b"data: [DONE]":
                if line.startswith(b"data: "):
                    text += json.loads(line[6:])["choices"][0]["text"]
            if not line:
                raise RuntimeError("a stream broke off")
        else:
            text = json.loads(answer.read())["choices"][0]["text"]
        if text != expected:
            raise RuntimeError(f"{fields} gave {text!r} instead of {expected!r}")
        self.note("streams" if streams else "answers")
        answer.connection.close()

    def leave(self, chance: random.Random) -> None:
        """Goes away after a few events, or before any, or without having read at all."""
        fields, _ = chance.choice(self.tasks.all)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=300)
        body = {**fields, "max_tokens": 200, "stream": chance.random() < 0.7, "n": chance.randrange(1, 4)}
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        if body["stream"] and chance.random() < 0.7:
            answer = connection.getresponse()
            for _ in range(chance.randrange(8)):
                answer.readline()
        else:
            time.sleep(chance.random() * 0.2)
        connection.sock.close() if connection.sock else None
        connection.close()
        self.note("left")

    def misbehave(self, chance: random.Random) -> None:
        bodies = [
            (b"{", 400), (b'{"prompt":"' + b"x" * (2 << 20) + b'"}', 413),
            (b'{"prompt":"' + b"a b" * 3000 + b'"}', 400), (b"", 400)]
        body, status = chance.choice(bodies)
        answer = self.send(body)
        answer.read()
        answer.connection.close()
        if answer.status != status:
            raise RuntimeError(f"{answer.status} instead of {status} for {body[:40]!r}")
        self.note("refused")

    def watch(self) -> None:
        while time.monotonic() < self.until and not self.faults:
            start = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            connection.request("GET", "/health")
            if connection.getresponse().status != 200:
                self.faults.append("/health is not well")
            connection.close()
            self.healths.append(time.monotonic() - start)
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("-m", "--model", help="a .phi file; the model inside otherwise")
    options = parser.parse_args()
    tasks = Tasks(options.tasks, options.model)
    model = ["-m", options.model] if options.model else []
    with Served(*model, "--parallel", "6", "--queue", "16", "--prefix-cache", str(CACHE)) as server:
        seconds = options.minutes * 60
        load = Load(server, tasks, time.monotonic() + seconds)
        threads = [threading.Thread(target=load.work, args=(number,)) for number in range(options.clients)]
        threads.append(threading.Thread(target=load.watch))
        for thread in threads:
            thread.start()
        time.sleep(seconds / 4)
        early = server.memory()
        for thread in threads:
            thread.join()
        if load.faults:
            sys.exit("load: " + "; ".join(load.faults[:5]))
        for _ in range(200):
            if server.metric("phi_texts_running") == 0:
                break
            time.sleep(0.1)
        late = server.memory()
        assert server.is_running and server.metric("phi_texts_running") == 0 and server.metric(
            "phi_texts_waiting") == 0, "a slot is stuck"
        assert load.counts["streams"] and load.counts["answers"] and load.counts["left"], load.counts
        healths = sorted(load.healths)
        print(
            f"load: {options.minutes:g} minutes, {dict(load.counts)}; "
            f"own memory {early / 1e6:.0f} MB after a quarter, {late / 1e6:.0f} MB at the end; "
            f"/health median {healths[len(healths) // 2] * 1e3:.1f} ms, "
            f"99% {healths[int(len(healths) * 0.99)] * 1e3:.1f} ms, "
            f"worst {healths[-1] * 1e3:.1f} ms")
        assert late < early * 1.1 + (4 << 20), "memory grows"
        assert late < (CACHE << 20) + (96 << 20), "the server takes more memory than its prefix cache and sequences may"
        assert healths[int(len(healths) * 0.99)] < 0.05, "/health takes too long"


if __name__ == "__main__":
    main()
