"""Tests of speculation.py: its choice of prompts, its rate, its table."""
import json
import tempfile
import unittest
from pathlib import Path

from refusals import PHI_MAGIC, RefusalTests, files, put

import speculation
from serving import Client
from speculation import prompts, rate, table


class FakeServer:
    """Completes with one token, then pieces of two tokens, 0.5 s apart."""

    def complete(self, prompt: str, tokens: int, client: Client) -> None:
        client.tokens, client.first, client.between = 1 + 2 * len(prompt), [0.3], [0.5] * len(prompt)


class SpeculationTests(unittest.TestCase):
    def test_prompts_are_every_nth(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name, "texts.jsonl")
            path.write_text("".join(json.dumps({"prompt": str(n), "completion": ""}) + "\n" for n in range(7)))
            self.assertEqual(prompts(path, 3), ["0", "2", "4"])
            self.assertEqual(prompts(path, 9), [str(n) for n in range(7)])

    def test_rate_counts_from_the_first_token(self) -> None:
        self.assertEqual(rate(FakeServer(), ["ab", "abcd"], 9), (4.0, 12))

    def test_gains_are_of_pairs_in_a_round(self) -> None:
        def rows(number: int, plain: float, fast: float) -> list[dict]:
            return [
                {"round": number, "server": "a", "kind": kind, "prompts": "p", "rate": rate}
                for kind, rate in (("none", plain), ("x", fast))]

        lines = table(rows(0, 10, 30) + rows(1, 20, 30) + rows(2, 10, 20)).splitlines()
        self.assertEqual(lines[0], "| | p, tok/s | times without |")
        self.assertEqual(lines[2:], ["| a, none | 10.0 | 1.00 |", "| a, x | 30.0 | 2.00 |"])

    def test_no_second_token_is_no_rate(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "--tokens"):
            rate(FakeServer(), [""], 9)


class SpeculationRefusalTests(RefusalTests):
    def test_inputs_are_checked_before_a_server_starts(self) -> None:
        put("a.phi", PHI_MAGIC)
        put("server", "#!/bin/sh\ntouch started\n", executable=True)
        put("a/x.jsonl", '{"prompt": "def"}\n')
        put("b/x.jsonl", '{"prompt": "def"}\n')
        put("other.jsonl", '{"text": "def"}\n')
        before = files()
        for arguments, words in (
                ("--prompts nofile", ["nofile: no such file"]),
                ("--prompts other.jsonl", ["other.jsonl: line 1 has no 'prompt'"]),
                ("--prompts a.phi", ["a.phi: is not a text"]),
                ("--prompts a/x.jsonl b/x.jsonl", ["two files of one name"]),
                ("--limit 0", ["--limit", "'0'"]), ("--tokens 1", ["--tokens", "'1'"]),
                ("--rounds 0", ["--rounds", "'0'"]), ("--kinds ngram-mod", ["--kinds needs none"])):
            with self.subTest(arguments):
                given = f"--phi-server ./server --phi a.phi --log . --prompts a/x.jsonl {arguments}"
                self.refused(speculation.main, given, "speculation: ", *words)
                self.assertEqual(files(), before)


if __name__ == "__main__":
    unittest.main()
