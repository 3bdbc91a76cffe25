"""Tests of the endpoint's client: retries, checks of answers, what is kept, and the requests."""
from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

from needs import packages

packages("datatrove", "orjson", "tokenizers", "sklearn", "rapidfuzz", "torch")

from datatrove.data import Document
from test_data import GOOD, POOR, environment, step

from phitools.data import __main__ as data_command
from phitools.data import annotate, prompts
from phitools.data.endpoint import Answer, Endpoint
from phitools.data.steps import read

EXERCISE = 'def answer(n: int) -> int:\n    """Return n."""\n    return n\n'
PAGE = "# Lists\n\n" + "A list keeps values in order. " * 10 + "\n\n```python\ndef f(x):\n    return x\n```\n"


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server with `faults`: what its first answers are instead; of a negative status, breaking
    off."""

    faults: list[Any] = []
    paths: list[str] = []
    texts: list[str] = []

    def do_POST(self) -> None:
        cls = type(self)
        cls.paths.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][0]["content"]
        cls.texts.append(text)
        fault = cls.faults.pop(0) if cls.faults else None
        answer = fault[1] if isinstance(fault, tuple) else EXERCISE if "exercise" in text else PAGE
        if "educational value" in text:
            answer = "Yes" if "mean" in text else "No"
        finish = "length" if isinstance(fault, tuple) and fault[0] == "length" else "stop"
        data = json.dumps({"choices": [{"finish_reason": finish, "message": {"content": answer}}]}).encode()
        if isinstance(fault, str):
            data = fault.encode()
        self.send_response(abs(fault) if isinstance(fault, int) else 200)
        if isinstance(fault, int) and fault < 0:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"ff\r\nbusy")
            return
        if fault == 429:
            self.send_header("Retry-After", "0")
        if fault == 302:
            self.send_header("Location", "http://other.example/v1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


class Asked(unittest.TestCase):
    def setUp(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = Path(self.scratch.name)
        Server.faults, Server.paths, Server.texts = [], [], []
        server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def client(self, url: str = "", tries: int = 6) -> Endpoint:
        return Endpoint(url or self.url, "m", timeout=20, tries=tries, pause=0.01)

    def test_faults_that_pass_are_tried_again(self) -> None:
        Server.faults = [500, 429, 503, "<html>busy</html>", "[]"]
        self.assertEqual(self.client().ask("exercise", 9, 0.0), Answer(EXERCISE, True))
        self.assertEqual(len(Server.paths), 6)

    def test_faults_that_stay_are_told_at_once(self) -> None:
        for status in (400, 401, 404):
            Server.faults = [status]
            with self.assertRaisesRegex(OSError, f"/v1/chat/completions: HTTP {status}"):
                self.client().ask("x", 9, 0.0)
        self.assertEqual(len(Server.paths), 3)
        Server.faults = [500] * 9
        with self.assertRaisesRegex(OSError, r"HTTP 500: .*\(2 tries\); the answers so far are kept"):
            self.client(tries=2).ask("x", 9, 0.0)

    def test_a_fault_that_breaks_off_is_one_like_others(self) -> None:
        Server.faults = [-503]
        self.assertEqual(self.client().ask("exercise", 9, 0.0), Answer(EXERCISE, True))
        Server.faults = [-401]
        with self.assertRaisesRegex(OSError, "/v1/chat/completions: HTTP 401: Unauthorized$"):
            self.client().ask("x", 9, 0.0)

    def test_a_fault_without_words_is_named_by_its_type(self) -> None:
        with unittest.mock.patch("phitools.data.endpoint.OPENER.open", side_effect=ConnectionResetError()):
            with self.assertRaisesRegex(OSError, r"completions: ConnectionResetError \(1 tries\)"):
                self.client(tries=1).ask("x", 9, 0.0)

    def test_a_dead_address_is_told_soon(self) -> None:
        with self.assertRaisesRegex(OSError, r"http://127.0.0.1:9/v1/chat/completions: .*refused.*\(2 tries\)"):
            self.client("http://127.0.0.1:9", tries=2).ask("x", 9, 0.0)

    def test_the_address_has_one_v1(self) -> None:
        for end in ("", "/", "/v1", "/v1/", "/v1/chat/completions"):
            self.assertEqual(self.client(f"http://h:1{end}").address, "http://h:1/v1/chat/completions")
        for url in ("https://h/api/v2beta", "https://h/v1beta/openai", "https://h/openai/deployments/d"):
            self.assertEqual(self.client(url).address, f"{url}/chat/completions")
            self.assertEqual(self.client(f"{url}/?a=1").address, f"{url}/chat/completions?a=1")
        whole = "https://h/api/chat/completions?api-version=2024-10-21"
        self.assertEqual(self.client(whole).address, whole)

    def test_no_address_is_refused_at_once(self) -> None:
        for url in ("localhost:8000", "h/v1", "ftp://h", "http://", "http://h:x", "http://h\n", "http://[h"):
            with self.assertRaisesRegex(ValueError, "no address; it is like"):
                self.client(url)

    def test_a_redirect_is_told_and_not_followed(self) -> None:
        Server.faults = [302]
        with self.assertRaisesRegex(OSError, "redirects to http://other.example/v1; give --endpoint that address$"):
            self.client().ask("x", 9, 0.0)
        self.assertEqual(len(Server.paths), 1)

    def test_a_key_is_never_shown(self) -> None:
        for key in ("s3cret\rx", "s3cret\nx", "s3cret x", "s3crét", "s3cret\x01"):
            with unittest.mock.patch.dict("os.environ", {"PHITOOLS_API_KEY": key}):
                with self.assertRaisesRegex(ValueError, "^PHITOOLS_API_KEY: has white space") as told:
                    self.client().ask("exercise", 9, 0.0)
                self.assertNotIn("s3c", str(told.exception))
        with unittest.mock.patch.dict("os.environ", {"PHITOOLS_API_KEY": " s3cret\r\n"}):
            self.assertEqual(self.client().ask("exercise", 9, 0.0), Answer(EXERCISE, True))
            with unittest.mock.patch("phitools.data.endpoint.OPENER.open", side_effect=OSError("Bearer s3cret is bad")):
                with self.assertRaisesRegex(OSError, r"Bearer \(the key\) is bad"):
                    self.client(tries=1).ask("x", 9, 0.0)

    def test_an_interrupted_step_waits_for_no_server(self) -> None:
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        begun = time.monotonic()
        with self.assertRaisesRegex(OSError, "stopped"):
            Endpoint("http://127.0.0.1:9", "m", pause=60).ask("x", 9, 0.0, stop)
        silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
        self.addCleanup(silent.close)
        for url in (f"http://127.0.0.1:{silent.getsockname()[1]}", "http://127.0.0.1:9"):
            process = subprocess.Popen(
                [sys.executable, "-m", "phitools.data", "exercises", "--count", "3", "--out", str(self.folder / "e"),
                 "--endpoint", url, "--model", "m"], env=environment(), stderr=subprocess.PIPE, text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's background jobs ignore it
            while process.poll() is None and not list(self.folder.glob("e/logs/answers/*")):
                time.sleep(0.05)
            time.sleep(0.5)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            told = process.communicate(timeout=100)[1]
            self.assertLess(time.monotonic() - begun, 60)
            self.assertEqual((process.returncode, told.strip().splitlines()[-1]), (
                130, "phitools.data exercises: interrupted; start it again to go on"))
            shutil.rmtree(self.folder / "e")

    def test_it_labels_and_writes(self) -> None:
        source = self.folder / "source"
        source.mkdir()
        for i in range(3):
            (source / f"good{i}.py").write_text(GOOD.replace("mean", f"mean{i}"))
            (source / f"poor{i}.py").write_text(POOR.replace("Thing", f"Thing{i}"))
        asked = ("--endpoint", self.url, "--model", "m")
        step("collect", "--folder", f"{source}:MIT", "--out", self.folder / "code")
        step("annotate", "--input", self.folder / "code", "--out", self.folder / "labelled", *asked)
        labels = {d.text: d.metadata["label"] for d in read(self.folder / "labelled")}
        self.assertEqual(labels, {t: int("mean" in t) for t in labels})
        Server.texts = []
        step("annotate", "--input", self.folder / "code", "--sample", "2", "--out", self.folder / "some", *asked)
        self.assertEqual(len(Server.texts), 2)
        self.assertEqual(Counter("label" in d.metadata for d in read(self.folder / "some")), {True: 2, False: 4})
        for kind, text in (("textbooks", PAGE), ("exercises", EXERCISE)):
            step(kind, "--count", "5", "--out", self.folder / kind, *asked)
            self.assertEqual({d.text.strip() for d in read(self.folder / kind)}, {text.strip()})

    def test_unusable_answers_are_asked_for_again_and_then_left_out(self) -> None:
        Server.faults = [("stop", ""), ("stop", "Sorry."), ("length", EXERCISE)]
        told = json.loads(step(
            "exercises", "--count", "1", "--out", self.folder / "e", "--endpoint", self.url, "--model", "m"))
        self.assertEqual((told["documents"], told["left out: unusable answer"]), (0, 1))
        Server.faults = [("stop", "Sorry.")]
        told = json.loads(step(
            "exercises", "--count", "4", "--out", self.folder / "f", "--endpoint", self.url, "--model", "m"))
        self.assertEqual(told["documents"], 4)
        self.assertEqual(len(Server.texts), 3 + 5)

    def test_a_prompt_that_is_refused_is_left_out(self) -> None:
        command = ("exercises", "--count", "20", "--endpoint", self.url, "--model", "m", "--out")
        Server.faults = [None, 400, 413, 422]
        told = json.loads(step(*command, self.folder / "e"))
        self.assertEqual((told["documents"], told["left out: refused by the server"]), (17, 3))
        Server.faults = [400] * 40  # then it is not the prompts
        self.assertRegex(step(*command, self.folder / "f", fails=True), "HTTP 400")
        Server.faults = [400] * 40
        self.assertRegex(
            step(*command[:2], "3", *command[3:], self.folder / "g", fails=True), "HTTP 400")

    def test_answers_outlive_a_full_disk(self) -> None:
        command = ("exercises", "--count", "8", "--out", self.folder / "e", "--endpoint", self.url, "--model", "m")
        full = OSError(28, "No space left on device")
        with (unittest.mock.patch("phitools.data.steps.count", side_effect=full),
              unittest.mock.patch("sys.argv", ["data", *map(str, command)]), contextlib.redirect_stderr(io.StringIO())):
            self.assertEqual(data_command.main(), 1)
        self.assertFalse((self.folder / "e" / "documents").exists())
        Server.texts = []
        step(*command)
        self.assertEqual((len(list(read(self.folder / "e"))), Server.texts), (8, []))

    def test_answers_are_kept_when_it_gives_up(self) -> None:
        command = ("exercises", "--count", "40", "--out", self.folder / "e", "--endpoint", self.url, "--model", "m")
        Server.faults = [("stop", EXERCISE)] * 20 + [401]
        self.assertRegex(step(*command, fails=True), "HTTP 401")
        kept = sum(len(p.read_text().split()) > 0 for p in (self.folder / "e" / "logs" / "answers").iterdir())
        self.assertEqual(kept, 1)
        Server.texts = []
        step(*command)
        self.assertEqual(len(list(read(self.folder / "e"))), 40)
        self.assertLess(len(Server.texts), 40)


class Answers(unittest.TestCase):
    def test_labels(self) -> None:
        self.assertEqual(
            [annotate.answer_label(a) for a in ("Yes.", "no", "It is: NO", "perhaps", "")], [1, 0, 0, None, None])

    def test_exercises(self) -> None:
        for text in (
                EXERCISE, f"```python\n{EXERCISE}```",
                f"Sure! Here is your exercise:\n\n```python\n{EXERCISE}```\nEnjoy!",
                f"Here is the code:\n{EXERCISE}", f"\nOK, here it is.\n\n{EXERCISE}"):
            self.assertEqual(prompts.exercise_of(Answer(text, True)), EXERCISE, text)
        for text in (
                "", "```python\n```", "Sure! Here is", "x = 1\n", "def f(:\n", 'def f():\n    """Say."""\n',
                'def f():\n    """Say."""\n    pass\n', "def f():\n    return 1\n", f"```python\n{EXERCISE}"):
            self.assertIsNone(prompts.exercise_of(Answer(text, True)), text)
        self.assertIsNone(prompts.exercise_of(Answer(EXERCISE, False)))
        # Its words occur within others, and in comments.
        for text in (
                EXERCISE.replace("Return n.", "Measure a book,\n    to ensure that it is okay\n    and here is n."),
                EXERCISE.replace("    return", "    # ensure that nothing is lost\n    return")):
            self.assertEqual(prompts.exercise_of(Answer(text, True)), text)

    def test_pages(self) -> None:
        for text in (PAGE, f"Sure! Here is a page:\n\n{PAGE}"):
            self.assertEqual(prompts.page_of(Answer(text, True)), PAGE)
        fenced = PAGE.replace("```python\n", "").replace("```", "")
        self.assertEqual(prompts.page_of(Answer(f"```markdown\n{fenced}\n```", True)), fenced.strip() + "\n")
        for text in ("", "Sure! Here is", "A page without code. " * 40):
            self.assertIsNone(prompts.page_of(Answer(text, True)), text)
        self.assertIsNone(prompts.page_of(Answer(PAGE, False)))
        ledger = "A ledger is a book of amounts. To ensure that it balances,\ncount twice.\n\n" + PAGE
        self.assertEqual(prompts.page_of(Answer(ledger, True)), ledger)

    def test_half_of_a_surrogate_pair_is_no_answer(self) -> None:
        written, question = prompts.Written("textbooks"), Document(text="?", id="1")
        self.assertEqual(getattr(written(question, Answer(PAGE, True)), "text", None), PAGE)
        self.assertIsNone(written(question, Answer(PAGE.replace("\n", "\ud83d\n", 1), True)))

    def test_thousands_of_prompts_are_distinct(self) -> None:
        for kind in ("textbooks", "exercises"):
            texts = {prompts.prompt(kind, s) for s in islice(prompts.seeds(kind, 1), 14_000)}
            self.assertEqual(len(texts), 14_000)
            self.assertNotEqual(next(prompts.seeds(kind, 1)), next(prompts.seeds(kind, 2)))


if __name__ == "__main__":
    unittest.main()
