"""Times speculation of phi-server and of llama.cpp's llama-server on text that a model writes itself.

    PYTHONPATH=Tools python -m phitools.widened CHECKPOINT --hidden 1920 --heads 30 --intermediate 7680 --rows 2048 \
        -o wide
    python Bench/speculation.py --phi-server .build/release/phi-server --phi wide-q4.phi \
        --llama-server llama.cpp/build/bin/llama-server --gguf wide-q4_0.gguf --prompts replays/*.jsonl --rounds 3

Speculation needs text in which something can be foreseen, so a checkpoint of random weights will not do:
`phitools.widened` gives a small trained model the cost of a large one. Prompts are those of `replays.py`'s files. In
each round every server, with and without each of its kinds of speculation, completes all prompts greedily, one after
the other. Printed is each kind's rate of tokens from the first to the last of a completion, and its ratio to the same
server's without speculation in the same round: medians over rounds. Nothing else should run on the machine.
"""
from __future__ import annotations

import argparse
import sys
from http.client import HTTPException
from pathlib import Path
from statistics import median

from inputs import Parser, at_least, file, one_line
from replays import every, lines
from serving import Client, Server, add_servers, check_servers, free_port, save

PLAIN = "none"
LLAMA_KINDS = {
    PLAIN: [],
    "ngram-simple": ["--spec-type", "ngram-simple"],
    "ngram-simple, 3 and 8": [
        "--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3", "--spec-ngram-simple-size-m", "8"],
    "ngram-map-k": ["--spec-type", "ngram-map-k"],
    "ngram-map-k4v": ["--spec-type", "ngram-map-k4v"],
    "ngram-mod": ["--spec-type", "ngram-mod"],
    "ngram-cache": ["--spec-type", "ngram-cache"],
}
PHI_KINDS = {PLAIN: ["--no-speculate"], "default": []}


def prompts(path: Path, limit: int) -> list[str]:
    """Every n-th prompt of a file, at most `limit`."""
    return [text["prompt"] for text in every(lines(path, {"prompt": str}), limit)]


def rate(server: Server, texts: list[str], tokens: int) -> tuple[float, int]:
    """Return tokens a second after the first of each completion, and their number."""
    made, seconds = 0, 0.0
    for text in texts:
        client = Client()
        server.complete(text, tokens, client)
        made += max(0, client.tokens - 1)
        seconds += sum(client.between)
    if not seconds:
        raise RuntimeError("no completion has a second token; choose other --prompts or raise --tokens")
    return made / seconds, made


def commands(options: argparse.Namespace) -> dict[tuple[str, str], list[str]]:
    """Return each kind's command but for the port."""
    threads = str(options.threads)
    phi = [str(options.phi_server), "-m", str(options.phi), "--parallel", "1", "--threads", threads]
    found = {("phi-server", kind): [*phi, *extra] for kind, extra in PHI_KINDS.items()}
    if options.llama_server and options.gguf:
        llama = [
            str(options.llama_server), "-m", str(options.gguf), "-np", "1", "-c", "1024", "-t", threads, "-tb", threads]
        found |= {("llama-server", kind): [*llama, *LLAMA_KINDS[kind]] for kind in options.kinds}
    return found


def table(rows: list[dict]) -> str:
    """Medians over rounds, a line for each server's kind, two columns for each file of prompts."""
    files = list(dict.fromkeys(row["prompts"] for row in rows))
    heads = " | ".join(f"{f}, tok/s | times without" for f in files)
    lines = [f"| | {heads} |", "|---" * (1 + 2 * len(files)) + "|"]
    known = {(row["round"], row["prompts"], row["server"], row["kind"]): row["rate"] for row in rows}
    for server, kind in dict.fromkeys((row["server"], row["kind"]) for row in rows):
        cells = []
        for name in files:
            found = {r: v for (r, f, s, k), v in known.items() if (f, s, k) == (name, server, kind)}
            gains = [v / known[r, name, server, PLAIN] for r, v in found.items()]
            cells += [f"{median(found.values()):.1f}", f"{median(gains):.2f}"]
        lines.append(f"| {server}, {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    parser = Parser(prog="speculation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_servers(parser)
    parser.add_argument("--kinds", nargs="+", choices=LLAMA_KINDS, default=list(LLAMA_KINDS), help="of llama-server")
    parser.add_argument(
        "--prompts", type=file("a file of replays.py"), nargs="+", required=True, help="files of replays.py")
    parser.add_argument("--limit", type=at_least(1), default=6, help="prompts of a file (%(default)s)")
    parser.add_argument("--tokens", type=at_least(2), default=96, help="tokens to make at most (%(default)s)")
    with one_line("speculation", RuntimeError, HTTPException):
        options = parser.parse_args(arguments)
        check_servers(parser, options)
        if PLAIN not in options.kinds:
            parser.error(f"--kinds needs {PLAIN}, with which the others are compared")
        texts = {path.stem: prompts(path, options.limit) for path in options.prompts}
        if len(texts) < len(options.prompts):
            parser.error("--prompts has two files of one name, by which the table tells them apart; rename one")
        in_turn(options, texts)


def in_turn(options: argparse.Namespace, texts: dict[str, list[str]]) -> None:
    """Measures all kinds of speculation in turn, round after round."""
    rows = []
    for number in range(options.rounds):
        for (name, kind), command in commands(options).items():
            port = free_port()
            with Server(name, [*command, "--port", str(port)], port, options.log / f"{name}.log") as server:
                server.complete("def f(x):\n", 8, Client())
                for name_of_texts, some in texts.items():
                    found, made = rate(server, some, options.tokens)
                    rows.append({
                        "round": number, "server": name, "kind": kind, "prompts": name_of_texts, "rate": found,
                        "tokens": made})
                    print(f"round {number + 1}/{options.rounds}  {name} {kind:22} {name_of_texts:12} {made} tokens  "
                          f"{found:.1f} tok/s", file=sys.stderr, flush=True)
    print(table(rows))
    save(options, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
