"""Times phi-server and llama.cpp's llama-server in turn, with one client, then several at once.

    python Bench/serving.py --phi-server .build/release/phi-server --phi phi1-q4.phi \
        --llama-server llama.cpp/build/bin/llama-server --gguf phi1-q4_0.gguf --clients 8 --rounds 3

Every client streams completions of prompts of its own, given as random token ids, no two of which are the same in a
round, so that neither server can reuse anything. Both servers get the same slots, threads, prompts and numbers of
tokens. Meanwhile /health is asked fifty times a second. What is printed as JSON and as a table: all tokens a second
from the first request to the last token, of which each client's share; the time to the first token; between a
client's tokens; until /health answers. Nothing else should run on the machine.

    python Bench/serving.py --phi-server .build/release/phi-server --phi phi1-q4.phi --clients 8 --long 1500

A long prompt beside streams, of phi-server alone: all clients but one stream completions of short prompts, one after
the other, and after some seconds the last one sends a prompt of 1,500 tokens. Fails if, until that has its first token,
the 99th percentile between the streams' tokens is more than 1.35 times that before, or if the first token takes more
than 1.5 times what it takes on the idle server.
"""
from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from statistics import median

from inputs import Parser, at_least, folder, gguf_file, one_line, output, phi_file, runnable, said, write_text


@dataclass
class Client:
    """One client's measurements."""

    tokens: int = 0
    first: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    # When each of `between` ended.
    times: list[float] = field(default_factory=list)


class Server:
    """A context manager that runs a server in a process."""

    def __init__(self, name: str, command: list[str], port: int, log: Path) -> None:
        self.name, self.port = name, port
        self.log = log.open("wb")
        try:
            self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        except OSError:
            self.log.close()
            raise
        try:
            self._await(log)
        except BaseException:
            self.__exit__()
            raise

    def _await(self, log: Path) -> None:
        """Returns when the server answers; RuntimeError if it ends or takes two minutes."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2][:300]
                status = self.process.returncode
                raise RuntimeError(f"{self.name} ended with {status}: {last or 'no output'}; see {log}")
            try:
                if self.health() == 200:
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer; see {log}")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()

    def health(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/health")
        status = connection.getresponse().status
        connection.close()
        return status

    def complete(self, prompt: list[int] | str, tokens: int, client: Client) -> None:
        """Streams one completion and records when its pieces arrive."""
        body = {
            "prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True,
            "stream_options": {"include_usage": True}}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        start = last = time.perf_counter()
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{self.name}: {answer.status} {answer.read()[:300]!r}")
        is_first = True
        while line := answer.readline():
            if not line.startswith(b"data: ") or line.strip() == b"data: [DONE]":
                continue
            event = json.loads(line[6:])
            if event.get("usage"):
                client.tokens += event["usage"]["completion_tokens"]
            if event.get("choices") and event["choices"][0].get("text"):
                now = time.perf_counter()
                (client.first if is_first else client.between).append(now - (start if is_first else last))
                if not is_first:
                    client.times.append(now)
                is_first, last = False, now
        connection.close()


# How much longer a long prompt may make gaps between the tokens of others, and they its first token.
BETWEEN_LIMIT, FIRST_LIMIT = 1.35, 1.5


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


def beside(server: Server, streams: int, long: int, prompt: int, tokens: int, seconds: float) -> dict[str, float]:
    """Measures a prompt of `long` tokens alone, then beside `streams` clients that have run for `seconds`."""
    numbers = random.Random(7)

    def ids(count: int) -> list[int]:
        return [numbers.randrange(1000, 40000) for _ in range(count)]

    server.complete(ids(prompt), 8, Client())
    alone, together = Client(), Client()
    server.complete(ids(long), 2, alone)
    seen = [Client() for _ in range(streams)]
    is_over = threading.Event()
    faults: list[Exception] = []

    def work(client: Client) -> None:
        try:
            while not is_over.is_set():
                server.complete(ids(prompt), tokens, client)
        except Exception as fault:
            faults.append(fault)
            is_over.set()

    workers = [threading.Thread(target=work, args=(client,)) for client in seen]
    begin = time.perf_counter()
    for thread in workers:
        thread.start()
    try:
        is_over.wait(seconds)
        middle = time.perf_counter()
        if not faults:
            server.complete(ids(long), 2, together)
    finally:
        is_over.set()
        for thread in workers:
            thread.join()
    if faults:
        raise RuntimeError(f"{len(faults)} of {streams} streams failed, one of them: {said(faults[0])}")
    if not alone.first or not together.first:
        raise RuntimeError("the long prompt got no text; choose another --long")
    return ratios(seen, begin, middle, alone.first[0], together.first[0])


def ratios(seen: list[Client], begin: float, middle: float, alone: float, together: float) -> dict[str, float]:
    """Compares the gaps from `begin` to `middle` with those while a prompt took `together` instead of `alone`."""
    def gaps(start: float, end: float) -> list[float]:
        return [gap for client in seen for gap, at in zip(client.between, client.times) if start <= at < end]

    before, beside = gaps(begin, middle), gaps(middle, middle + together)
    if not before or not beside:
        raise RuntimeError("the streams got no tokens before or beside the long prompt; raise --tokens or --seconds")
    return {
        "first_alone": alone, "first_beside": together, "first_ratio": together / alone,
        "between_p99_before": percentile(before, 0.99), "between_p99_beside": percentile(beside, 0.99),
        "between_ratio": percentile(beside, 0.99) / percentile(before, 0.99), "between_worst": max(beside),
    }


def load(server: Server, clients: int, requests: int, prompt: int, tokens: int, seed: int) -> dict[str, object]:
    """Runs concurrent clients, each with `requests` requests."""
    seen = [Client() for _ in range(clients)]
    healths: list[float] = []
    is_over = threading.Event()

    faults: list[Exception] = []
    unhealthy: list[Exception] = []

    def work(number: int) -> None:
        numbers = random.Random(f"{seed}/{clients}/{number}")
        try:
            for _ in range(requests):
                server.complete([numbers.randrange(1000, 40000) for _ in range(prompt)], tokens, seen[number])
        except Exception as fault:
            faults.append(fault)

    def watch() -> None:
        try:
            while not healths or not is_over.wait(0.02):
                start = time.perf_counter()
                server.health()
                healths.append(time.perf_counter() - start)
        except Exception as fault:
            unhealthy.append(fault)

    watcher = threading.Thread(target=watch)
    workers = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in [watcher, *workers]:
        thread.start()
    for thread in workers:
        thread.join()
    seconds = time.perf_counter() - start
    is_over.set()
    watcher.join()
    if faults:
        raise RuntimeError(f"{len(faults)} of {clients} clients failed, one of them: {said(faults[0])}")
    if unhealthy:
        raise RuntimeError(f"{server.name}: /health failed: {said(unhealthy[0])}")
    between = [gap for client in seen for gap in client.between]
    first = [gap for client in seen for gap in client.first]
    if not between:
        raise RuntimeError("no completion came in two pieces; raise --tokens")
    return {
        "tokens": sum(client.tokens for client in seen), "seconds": seconds,
        "tokens_per_second": sum(client.tokens for client in seen) / seconds,
        "client_tokens": [client.tokens for client in seen],
        "first_median": median(first), "first_worst": max(first),
        "between_median": median(between), "between_p99": percentile(between, 0.99), "between_worst": max(between),
        "health_p99": percentile(healths, 0.99),
        "health_worst": max(healths),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def add_servers(parser: Parser) -> None:
    """Add the options of every program that times both servers in turn."""
    parser.add_argument(
        "--phi-server", type=runnable("make build makes phi-server"), default=".build/release/phi-server")
    parser.add_argument("--phi", type=phi_file, required=True, help="a .phi file")
    parser.add_argument("--llama-server", type=runnable("give llama.cpp's llama-server"))
    parser.add_argument("--gguf", type=gguf_file)
    parser.add_argument("--threads", type=at_least(1), default=2)
    parser.add_argument("--rounds", type=at_least(1), default=3)
    parser.add_argument("--log", type=folder, default=tempfile.gettempdir(), help="a folder for the servers' logs")
    parser.add_argument("-o", "--output", type=output, help="a file for all figures, as JSON")


def check_servers(parser: Parser, options: argparse.Namespace) -> None:
    """End the program if one of two options that need each other is missing."""
    if bool(options.llama_server) != bool(options.gguf):
        given, other = ("--gguf", "--llama-server") if options.gguf else ("--llama-server", "--gguf")
        parser.error(f"{given} needs {other}")


def save(options: argparse.Namespace, rows: list[dict]) -> None:
    """Write options and samples to the file of `--output`, if there is one."""
    if options.output:
        setting = {key: str(value) for key, value in vars(options).items()}
        write_text(options.output, json.dumps({"setting": setting, "samples": rows}, indent=1) + "\n")


def main(arguments: list[str]) -> None:
    parser = Parser(prog="serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_servers(parser)
    parser.add_argument("--clients", type=at_least(1), default=8)
    parser.add_argument("--requests", type=at_least(1), default=2, help="of each client, one after the other")
    parser.add_argument("--prompt", type=at_least(1), default=64, help="tokens of a prompt")
    parser.add_argument("--tokens", type=at_least(2), default=64, help="tokens to make")
    parser.add_argument("--long", type=at_least(1), help="tokens of a long prompt beside streams")
    parser.add_argument(
        "--seconds", type=at_least(1, float), default=20, help="how long streams run before the long prompt")
    with one_line("serving", RuntimeError, HTTPException):
        options = parser.parse_args(arguments)
        check_servers(parser, options)
        if options.long and options.clients < 2:
            parser.error("--long needs --clients of 2 or more: one sends it, the others stream")
        if options.long:
            check_beside(options)
        else:
            in_turn(options)


def in_turn(options: argparse.Namespace) -> None:
    """Measures the servers in turn, with one client and with all."""
    context = options.prompt + options.tokens + 8
    commands: dict[str, Callable[[int], list[str]]] = {
        "phi-server": lambda port: [
            str(options.phi_server), "-m", str(options.phi), "--port", str(port), "--parallel", str(options.clients),
            "--threads", str(options.threads), "--context", str(context)]}
    if options.llama_server and options.gguf:
        room = options.clients * ((context + 255) // 256 * 256)
        commands["llama-server"] = lambda port: [
            str(options.llama_server), "-m", str(options.gguf), "--port", str(port), "-np", str(options.clients), "-c",
            str(room),
            "-t", str(options.threads), "-tb", str(options.threads)]
    rows = []
    for number in range(options.rounds):
        for name, command in commands.items():
            port = free_port()
            with Server(name, command(port), port, options.log / f"{name}.log") as server:
                load(server, 1, 1, options.prompt, 8, seed=99)
                for clients in (1, options.clients):
                    row = {"round": number, "server": name, "clients": clients, **load(
                        server, clients, options.requests, options.prompt, options.tokens, seed=number)}
                    rows.append(row)
                    print(
                        f"round {number + 1}/{options.rounds}  {name:13} {clients:2} clients  "
                        f"{row['tokens_per_second']:7.1f} tok/s  first {row['first_median']:.2f} s  "
                        f"between {row['between_median'] * 1e3:.0f} ms, p99 {row['between_p99'] * 1e3:.0f} ms  "
                        f"health p99 {row['health_p99'] * 1e3:.1f} ms", file=sys.stderr, flush=True)
    print(table(rows))
    save(options, rows)


def check_beside(options: argparse.Namespace) -> None:
    """Measures a long prompt beside streams and ends the program with 1 if it takes too long or disturbs them."""
    port = free_port()
    command = [
        str(options.phi_server), "-m", str(options.phi), "--port", str(port), "--parallel", str(options.clients),
        "--threads", str(options.threads), "--prefix-cache", "0"]
    with Server("phi-server", command, port, options.log / "phi-server.log") as server:
        row = beside(server, options.clients - 1, options.long, options.prompt, options.tokens, options.seconds)
    print(json.dumps({name: round(value, 4) for name, value in row.items()}))
    if row["between_ratio"] > BETWEEN_LIMIT or row["first_ratio"] > FIRST_LIMIT:
        sys.exit(f"serving: the ratios of a long prompt are at most {BETWEEN_LIMIT} and {FIRST_LIMIT}")


def table(rows: list[dict]) -> str:
    """Medians over rounds."""
    lines = [
        "| | clients | tok/s | x one client | first token | between tokens, median | p99 | /health p99 | worst |",
        "|---|" + "---|" * 8]
    kinds = list(dict.fromkeys((row["server"], row["clients"]) for row in rows))
    for name, clients in kinds:
        def middle(key: str, clients: int = clients, name: str = name) -> float:
            return median(row[key] for row in rows if (row["server"], row["clients"]) == (name, clients))

        rate = middle("tokens_per_second")
        lines.append(
            f"| {name} | {clients} | {rate:.1f} | {rate / middle('tokens_per_second', 1):.2f} | "
            f"{middle('first_median'):.2f} s | {middle('between_median') * 1e3:.0f} ms | "
            f"{middle('between_p99') * 1e3:.0f} ms | {middle('health_p99') * 1e3:.1f} ms | "
            f"{middle('health_worst') * 1e3:.1f} ms |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
