"""Tests of the table of serving.py."""
import unittest
from pathlib import Path

from refusals import PHI_MAGIC, RefusalTests, files, put

import serving
from serving import Client, beside, load, ratios, table


class ServingTests(unittest.TestCase):
    def test_medians_and_the_ratio_to_one_client(self) -> None:
        def row(server: str, clients: int, rate: float) -> dict:
            return {
                "server": server, "clients": clients, "tokens_per_second": rate, "first_median": 0.5,
                "between_median": 0.05,
                "between_p99": 0.1, "health_p99": 0.002, "health_worst": 0.004}

        rows = [row("a", 1, 10), row("a", 8, 30), row("a", 1, 20), row("a", 8, 40), row("a", 1, 12), row("a", 8, 36)]
        lines = table(rows).splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[2], "| a | 1 | 12.0 | 1.00 | 0.50 s | 50 ms | 100 ms | 2.0 ms | 4.0 ms |")
        self.assertEqual(lines[3], "| a | 8 | 36.0 | 3.00 | 0.50 s | 50 ms | 100 ms | 2.0 ms | 4.0 ms |")

    def test_a_client_that_fails_is_no_result(self) -> None:
        class Broken:
            prompts: list[list[int]] = []

            def complete(self, prompt: list[int], tokens: int, client: Client) -> None:
                self.prompts.append(prompt)
                if len(self.prompts) == 5:
                    raise OSError("connection reset")
                client.first.append(0.1)
                client.between.append(0.1)
                client.tokens += tokens

            def health(self) -> int:
                return 200

        server = Broken()
        load(server, 1, 2, 6, 4, seed=0)
        with self.assertRaisesRegex(RuntimeError, "1 of 3 clients failed, one of them: connection reset"):
            load(server, 3, 2, 6, 4, seed=0)
        self.assertEqual(len(set(map(tuple, server.prompts))), len(server.prompts))

    def test_gaps_before_and_beside_a_long_prompt(self) -> None:
        clients = [
            Client(between=[0.1, 0.2, 0.3, 9.0], times=[1.0, 2.0, 11.0, 99.0]),
            Client(between=[0.1, 0.4], times=[3.0, 12.0])]
        row = ratios(clients, begin=0, middle=10, alone=4, together=5)
        self.assertEqual(row["first_ratio"], 1.25)
        self.assertEqual((row["between_p99_before"], row["between_p99_beside"]), (0.1, 0.3))
        self.assertEqual(row["between_worst"], 0.4)

    def test_a_stream_that_fails_is_no_result(self) -> None:
        class Broken:
            def complete(self, prompt: list[int], tokens: int, client: Client) -> None:
                if tokens == 4:
                    raise OSError("connection reset")
                client.first.append(0.1)

        with self.assertRaisesRegex(RuntimeError, "of 2 streams failed, one of them: connection reset"):
            beside(Broken(), 2, 16, 6, 4, 60)

    def test_no_tokens_are_no_result(self) -> None:
        class Silent:
            name = "silent"

            def complete(self, prompt: list[int], tokens: int, client: Client) -> None:
                client.tokens += 1

            def health(self) -> int:
                return 200

        with self.assertRaisesRegex(RuntimeError, "--tokens"):
            load(Silent(), 1, 1, 6, 4, seed=0)
        with self.assertRaisesRegex(RuntimeError, "--seconds"):
            ratios([Client()], begin=0, middle=10, alone=4, together=5)


class ServingRefusalTests(RefusalTests):
    def test_inputs_are_checked_before_a_server_starts(self) -> None:
        put("a.phi", PHI_MAGIC)
        put("a.gguf", b"GGUF")
        put("server", "#!/bin/sh\ntouch started\necho some fault >&2\nexit 3\n", executable=True)
        Path("log").mkdir()
        before = files()
        self.refused(serving.main, "--phi a.phi", ".build/release/phi-server: no such program; make build")
        for arguments, words in (
                ("--phi nofile", ["nofile: no such file"]), ("--phi a.gguf", ["a.gguf: is a file of another kind"]),
                ("--phi-server a.phi", ["a.phi: is not a program"]),
                ("--gguf a.gguf", ["--gguf needs --llama-server"]),
                ("--llama-server server", ["--llama-server needs --gguf"]),
                ("--llama-server server --gguf a.phi", ["a.phi: is a file of another kind"]),
                ("--log nofolder", ["nofolder: no such folder"]), ("-o none/x.json", ["no folder none"]),
                ("--rounds 0", ["--rounds", "'0'"]), ("--threads 0", ["--threads", "'0'"]),
                ("--clients -1", ["--clients", "'-1'"]), ("--requests 0", ["--requests", "'0'"]),
                ("--prompt 0", ["--prompt", "'0'"]), ("--tokens 1", ["--tokens", "'1'", "2 or more"]),
                ("--long 0", ["--long", "'0'"]), ("--seconds nan", ["--seconds", "'nan'"]),
                ("--long 8 --clients 1", ["--long needs --clients of 2"])):
            with self.subTest(arguments):
                given = f"--phi-server ./server --phi a.phi --log log {arguments}"
                self.refused(serving.main, given, "serving: ", *words)
                self.assertEqual(files(), before)

    def test_a_server_that_ends_says_why(self) -> None:
        put("a.phi", PHI_MAGIC)
        put("server", "#!/bin/sh\necho some fault >&2\nexit 3\n", executable=True)
        self.refused(
            serving.main, "--phi-server ./server --phi a.phi --log . -o x.json",
            "serving: phi-server ended with 3: some fault; see phi-server.log")
        self.assertFalse(Path("x.json").exists())


if __name__ == "__main__":
    unittest.main()
