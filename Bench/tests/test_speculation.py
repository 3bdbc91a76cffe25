"""Tests of speculation.py: its choice of prompts, its rate, its table."""
import json
import tempfile
import unittest
from pathlib import Path

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


if __name__ == "__main__":
    unittest.main()
