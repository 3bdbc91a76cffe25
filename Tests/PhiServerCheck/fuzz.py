"""Sends phi-server each number in each field, bodies that are nearly valid, and bodies that are not valid at all.

    python Tests/PhiServerCheck/fuzz.py --count 10000 --seed 1

Every body must be answered, in JSON, by 200, 400, 404, 413, 429 or 503; afterwards the server must still run, have no
running sequence, and answer a valid request as before. Prints the number of answers of each kind.
"""
from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain

from served import Served

PATHS = ["/v1/completions"] * 6 + ["/completion"] * 2 + ["/tokenize", "/detokenize"]
ALLOWED = {200, 400, 404, 413, 429, 503}
NUMBERS = [0, 1, -1, 2, 20, 1e308, -1e308, 1e-320, 2**31, 2**63, 2**64, -2**63, 0.5, 50256, 1.5, 10**30]
STRINGS = [
    "", "x", "def f(x):\n", "\0", "\ud7ff", "é" * 50, "<|endoftext|>", "a" * 5000, "\u202e", "💥", "\\", "null", "NaN"]
FIELDS = {
    "model": ["phi-small", "gpt-4", "", None], "prompt": ["x", ["x", "y"], [1, 2, 3], [[1], [2, 3]], "", [""], [[]]],
    "max_tokens": [0, 1, 2, 5, None], "temperature": [0, 0.5, 1, 2], "top_p": [0, 0.5, 1], "top_k": [0, 1, 40],
    "min_p": [0, 0.1],
    "n": [1, 2, 3], "stream": [True, False], "stream_options": [{"include_usage": True}, {}],
    "logprobs": [0, 1, 5, None],
    "echo": [True, False], "stop": ["x", ["a", "b"], [], None], "seed": [0, 1, -1, 2**62],
    "logit_bias": [{"5": 1}, {}, {"50256": -100}],
    "user": ["me"], "best_of": [1, 2], "suffix": ["", "y"], "presence_penalty": [0, 1], "frequency_penalty": [0],
    "repeat_penalty": [1, 1.2], "repetition_penalty": [1, 1.2], "min_tokens": [0, 2], "stop_token_ids": [[], [5]],
    "ignore_eos": [True, False], "n_predict": [0, 2], "n_probs": [0, 2],
    "response_format": [
        {"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": {}}}],
    "guided_regex": ["[a-z]{1,3}", "(a|b)*a(a|b){30}"], "guided_choice": [["x", "yes"]], "regex": ["a+$"],
    "guided_json": [{"type": "array", "items": {"$ref": "#"}}, {"enum": [1, "x"]}], "json_schema": ["{}"],
    "structured_outputs": [{"json": {"type": "object", "properties": {"a": {"type": "string"}}}}],
    "content": ["text"], "tokens": [[1, 2], []],
}


def value(chance: random.Random, depth: int = 0) -> object:
    """Any JSON value."""
    kind = chance.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return chance.choice(NUMBERS)
    if kind == 1:
        return chance.choice(STRINGS)
    if kind == 2:
        return chance.choice([None, True, False])
    if kind == 3:
        return chance.randrange(-10, 60000)
    if kind == 4:
        return "".join(
            chr(chance.choice([chance.randrange(32, 127), chance.randrange(160, 0xD7FF)]))
            for _ in range(chance.randrange(30)))
    if kind == 5:
        return {chance.choice([*FIELDS, "x", "5", ""]): value(chance, depth + 1) for _ in range(chance.randrange(5))}
    return [value(chance, depth + 1) for _ in range(chance.randrange(6))]


def body(chance: random.Random) -> bytes:
    """A request: mostly sound fields with one or two replaced, sometimes with its bytes spoilt."""
    fields: dict[str, object] = {"prompt": chance.choice(FIELDS["prompt"]), "max_tokens": chance.choice([0, 1, 2, 3])}
    for name in chance.sample(list(FIELDS)[2:-2], chance.randrange(5)):
        fields[name] = chance.choice(FIELDS[name])
    if chance.random() < 0.4:
        for _ in range(chance.randrange(1, 3)):
            fields[chance.choice(list(FIELDS))] = value(chance)
    if chance.random() < 0.1:
        fields = {"tokens": value(chance)} if chance.random() < 0.5 else {"content": value(chance)}
    data = json.dumps(fields if chance.random() < 0.95 else value(chance), ensure_ascii=chance.random() < 0.5).encode(
        "utf-8", "replace")
    kind = chance.randrange(20)
    if kind == 0:
        data = data[: chance.randrange(len(data) + 1)]
    elif kind == 1:
        place = chance.randrange(len(data) + 1)
        data = data[:place] + bytes(chance.randrange(256) for _ in range(chance.randrange(1, 8))) + data[place:]
    elif kind == 2:
        data = bytearray(data)
        for _ in range(3):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        data = bytes(data)
    elif kind == 3:
        deep = chance.choice([10, 600, 20000])
        data = chance.choice([b"[", b'{"prompt":', b'{"logit_bias":{"1":']) * deep
    elif kind == 4:
        data = b'{"prompt":"' + b"x" * chance.choice(
            [10**5, 10**6, 3 * 10**6]) + b'"}' if chance.random() < 0.1 else b""
    return data


def every() -> Iterator[tuple[str, bytes]]:
    """Each field that takes a number with each number, and what no token can fulfil, at both completion endpoints."""
    numbers = [n for n, values in FIELDS.items() if any(type(v) in (int, float) for v in values)]
    impossible = {"regex": "a", "stop_token_ids": [64], "n": 100}  # 64 is the token "a"
    for path in ("/v1/completions", "/completion"):
        for name in numbers:
            for number in NUMBERS:
                yield path, json.dumps({"prompt": "x", "max_tokens": 1, name: number}).encode()
        yield path, json.dumps({"prompt": "x = ", "max_tokens": 5} | impossible).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    counts: Counter[int] = Counter()
    good = {"prompt": "def add(a, b):\n", "max_tokens": 16, "temperature": 0}
    with Served("--parallel", "8") as server:
        before = server.post("/v1/completions", good)["choices"]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        drawn = ((chance.choice(PATHS), body(chance)) for _ in range(options.count))
        for number, (path, data) in enumerate(chain(every(), drawn)):
            try:
                connection.request("POST", path, data, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (http.client.HTTPException, OSError) as error:
                sys.exit(
                    f"fuzz: seed {options.seed}, body {number}: {error!r}; "
                    f"the server {'runs' if server.is_running else 'has ended'}: {data[:300]!r}")
            counts[answer.status] += 1
            if answer.status not in ALLOWED:
                sys.exit(f"fuzz: seed {options.seed}, body {number}: {answer.status} {text[:300]!r} for {data[:300]!r}")
            if answer.status != 200 and "message" not in json.loads(text)["error"]:
                sys.exit(f"fuzz: seed {options.seed}, body {number}: no error is told: {text[:300]!r}")
            if answer.status == 200 and not text.startswith(b"data: "):
                json.loads(text)
        for _ in range(100):
            if server.metric("phi_texts_running") == 0:
                break
            time.sleep(0.1)
        assert server.is_running and server.metric("phi_texts_running") == 0 and server.metric("phi_texts_waiting") == 0
        after = server.post("/v1/completions", good)["choices"]
        assert after == before, (before, after)
    print(
        f"fuzz: {sum(counts.values())} bodies, seed {options.seed}: "
        + ", ".join(f"{n} x {status}" for status, n in sorted(counts.items())))


if __name__ == "__main__":
    main()
