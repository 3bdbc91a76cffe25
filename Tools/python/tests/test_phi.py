"""The Python package, as it is installed; `phi` on the path is the command that it is compared with.

Needs nothing but the package, and runs with and without NumPy.
"""
from __future__ import annotations

import copy
import ctypes
import json
import math
import os
import pickle
import signal
import subprocess
import tempfile
import threading
import types
import unittest
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from unittest import mock

import phi

ROOT = Path(__file__).resolve().parents[3]
COMMAND = os.environ.get("PHI_COMMAND", "phi")
MODEL = ROOT / "Sources/CPhiModel/small.phi"
BAD_MODEL = ROOT / "Formats/refused/truncated-last-byte.phi"
PROMPT = "def count_vowels(text):\n    "

try:
    import numpy
except ImportError:
    numpy = None


def run(*command: str | Path) -> subprocess.CompletedProcess:
    outcome = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)
    assert outcome.returncode == 0, outcome.stderr
    return outcome


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.model = phi.Model(MODEL)

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def session(self, **options):
        return phi.Session(self.model, threads=1, **options)

    def test_completes_as_the_command_does(self) -> None:
        options = ["-n", "60", "--temperature", "0.8", "--top-p", "0.9", "--seed", "7", "--stop", "\n\n"]
        expected = run(COMMAND, "complete", "-m", MODEL, "--no-echo", *options, PROMPT).stdout
        made = self.session().complete(PROMPT, maximum_tokens=60, temperature=0.8, top_p=0.9, seed=7, stop=["\n\n"])
        self.assertEqual(made, expected.removesuffix("\n"))

    def test_penalties(self) -> None:
        options = ["-n", "60", "--presence-penalty", "0.5", "--frequency-penalty", "0.75", "--ignore-eos"]
        expected = run(COMMAND, "complete", "-m", MODEL, "--no-echo", *options, PROMPT).stdout
        common = {"maximum_tokens": 60, "ignore_end_of_text": True}
        made = self.session().complete(PROMPT, presence_penalty=0.5, frequency_penalty=0.75, **common)
        self.assertEqual(made, expected.removesuffix("\n"))
        self.assertNotEqual(made, self.session().complete(PROMPT, **common))

    def test_constraints(self) -> None:
        made = self.session().complete(PROMPT, regex="[0-9]{3}-[a-c]{1,8}x")
        self.assertRegex(made, r"\A[0-9]{3}-[a-c]{1,8}x\Z")
        self.assertEqual(made, self.session().complete(PROMPT, regex="[0-9]{3}-[a-c]{1,8}x", temperature=0))
        schema = {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "maxItems": 3}
        for form in [schema, json.dumps(schema)]:
            made = json.loads(self.session().complete(PROMPT, json_schema=form, temperature=1, seed=2))
            self.assertTrue(len(made) in (2, 3) and set(made) <= {"a", "b"}, made)
        for refused in [
            {"regex": "("}, {"json_schema": '{"not": {}}'}, {"regex": "a", "json_schema": "{}"}, {"regex": "a\0"},
        ]:
            with self.assertRaises(phi.Error):
                self.session().generate(PROMPT, **refused)
        with self.assertRaises(TypeError):
            self.session().generate(PROMPT, regex=5)

    def test_drafts_change_nothing(self) -> None:
        options = {"maximum_tokens": 60, "temperature": 0.8, "seed": 3, "ignore_end_of_text": True}
        plain = self.session(speculate=False)
        expected = plain.complete(PROMPT, **options)
        self.assertEqual(plain.draft_counts, (0, 0))
        for drafts in [{}, {"draft_corpus": self.model.tokenize(PROMPT + expected)}, {"draft_model": self.model}]:
            session = self.session(**drafts)
            self.assertEqual(session.complete(PROMPT, **options), expected)
            drafted, accepted = session.draft_counts
            self.assertLessEqual(accepted, drafted)
        with self.assertRaises(TypeError):
            self.session(draft_model="small.phi")
        with self.assertRaises(TypeError):
            self.session(draft_corpus="text")

    def test_pieces(self) -> None:
        session = self.session()
        pieces = list(session.generate(PROMPT, maximum_tokens=20, log_probabilities=2))
        self.assertEqual("".join(piece.text for piece in pieces), self.session().complete(PROMPT, maximum_tokens=20))
        self.assertTrue(all(piece.stop_reason is None for piece in pieces[:-1]))
        self.assertIsNotNone(pieces[-1].stop_reason)
        for piece in pieces:
            self.assertEqual(piece.alternatives[0], (piece.token, piece.log_probability))
        # Log-probabilities are the log-softmax of the logits, and those of a scored text are the same.
        prompt = self.model.tokenize(PROMPT, special_tokens=True)
        check = self.session()
        check.append(prompt)
        logits = [float(value) for value in check.logits()]
        top = max(logits)
        expected = logits[pieces[0].token] - top - math.log(sum(math.exp(value - top) for value in logits))
        self.assertAlmostEqual(pieces[0].log_probability, expected, places=9)
        scored = self.session().score(prompt + [piece.token for piece in pieces])
        self.assertTrue(math.isnan(scored[0]))
        self.assertEqual(scored[len(prompt):], [piece.log_probability for piece in pieces])

    def test_ends_of_text(self) -> None:
        self.assertEqual(self.model.ends_of_text, [self.model.end_of_text])
        ended = list(self.session().generate(PROMPT, maximum_tokens=120))
        self.assertEqual(ended[-1].stop_reason, "end_of_text")
        whole = list(self.session().generate(PROMPT, maximum_tokens=120, ignore_end_of_text=True))
        self.assertEqual([piece.token for piece in whole[: len(ended)]], [piece.token for piece in ended])
        self.assertEqual((len(whole), whole[-1].stop_reason), (120, "max_tokens"))

    def test_logits_are_those_of_the_command(self) -> None:
        ids = self.model.tokenize(PROMPT)
        (self.folder / "ids.json").write_text(str(ids))
        out = self.folder / "out.npy"
        run(COMMAND, "logits", "-m", MODEL, "--ids", self.folder / "ids.json", "-o", out)
        session = self.session()
        session.append(ids)
        row = bytes(session.logits())
        self.assertEqual(len(row), 4 * self.model.vocabulary)
        self.assertEqual(out.read_bytes()[-len(row):], row)

    def test_prefixes(self) -> None:
        ids = self.model.tokenize(PROMPT * 3)
        session = self.session()
        session.append(ids)
        truth = bytes(session.logits())
        saved = session.save(len(ids) - 1)
        restored = self.session(context=len(ids))
        restored.restore(saved)
        fork = session.fork(len(ids) - 1)
        for other in (restored, fork):
            self.assertEqual(other.tokens, ids[:-1])
            other.append(ids[-1:])
            self.assertEqual(bytes(other.logits()), truth)
        self.assertEqual(fork.complete(PROMPT, maximum_tokens=8), self.session().complete(PROMPT, maximum_tokens=8))
        with self.assertRaisesRegex(phi.Error, "truncated or altered"):
            restored.restore(saved[:-1])

    def test_text(self) -> None:
        for text in ["", "def f(x):\n\treturn x", "naïve ☃ \0 end"]:
            self.assertEqual(self.model.detokenize(self.model.tokenize(text)).decode(), text)
        self.assertEqual(self.model.tokenize("<|endoftext|>", special_tokens=True), [self.model.end_of_text])

    def test_errors(self) -> None:
        for message, call in [
            ("/no/such.phi", lambda: phi.Model("/no/such.phi")),
            ("truncated", lambda: phi.Model(BAD_MODEL)),
            ("context", lambda: self.session(context=1 << 20)),
            ("cache", lambda: self.session(cache="f8")),
            ("not a token", lambda: self.session().append([self.model.vocabulary])),
            ("not a token", lambda: self.session().append([1 << 40])),
            ("do not fit", lambda: self.session(context=4).append([1] * 5)),
            ("no logits", lambda: self.session().logits()),
            ("temperature", lambda: self.session().complete("x", temperature=-1)),
            ("zero byte", lambda: self.session().complete("x", stop=["a\0b"])),
        ]:
            with self.subTest(message), self.assertRaisesRegex(phi.Error, message):
                call()
        session = self.session()
        session.close()
        session.close()
        with self.assertRaises(phi.Error):
            session.append([1])

    def test_an_overtaken_generation_is_refused(self) -> None:
        """It does not go on with the text of whatever changed its session."""
        session = self.session()
        options = {"maximum_tokens": 20, "ignore_end_of_text": True}
        saved = session.save()
        for name, change in [
            ("generate", lambda: next(session.generate("x = 1", **options))),
            ("complete", lambda: session.complete("x = 1", maximum_tokens=2)),
            ("append", lambda: session.append([1])),
            ("score", lambda: session.score([1])),
            ("truncate", lambda: session.truncate(2)),
            ("restore", lambda: session.restore(saved)),
        ]:
            with self.subTest(name):
                generation = session.generate(PROMPT, **options)
                next(generation)
                change()
                before = session.tokens
                with self.assertRaises(phi.Error) as caught:
                    next(generation)
                self.assertEqual((caught.exception.status, session.tokens), (10, before))
        expected = self.session().complete(PROMPT, **options)
        generation = session.generate(PROMPT, **options)
        text = next(generation).text
        self.assertEqual(session.fork().complete(PROMPT, **options), expected)
        self.assertEqual(text + "".join(piece.text for piece in generation), expected)

    def many_tokens(self) -> list[int]:
        """More than the library computes in one step, and not a multiple."""
        tokens = (self.model.tokenize(PROMPT) * 100)[:600]
        self.assertEqual(len(tokens), 600)
        return tokens

    def test_many_tokens(self) -> None:
        """Passed in parts they give what they give at once."""
        tokens, library = self.many_tokens(), phi._library.library
        whole = self.session()
        scores = (ctypes.c_double * len(tokens))()
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        self.assertEqual(library.phi_session_score(whole._open(), array, len(array), scores), 0)
        appended, scored = self.session(), self.session()
        appended.append(tokens)
        self.assertEqual(scored.score(tokens)[1:], list(scores)[1:])
        for session in (appended, scored):
            self.assertEqual((session.tokens, bytes(session.logits())), (tokens, bytes(whole.logits())))

    def test_an_interrupted_call_changes_nothing(self) -> None:
        tokens, library = self.many_tokens(), phi._library.library
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        for name in ("append", "score"):
            for start in ([], tokens[:5]):
                with self.subTest(name, start=start):
                    session = self.session()
                    session.append(start)
                    function, calls = getattr(library, f"phi_session_{name}"), []

                    def interrupts(
                        *arguments: object, function: Callable[..., int] = function, calls: list[object] = calls
                    ) -> int:
                        calls.append(arguments)
                        status = function(*arguments)
                        if len(calls) == 2:
                            signal.raise_signal(signal.SIGINT)
                        return status

                    with mock.patch.object(library, f"phi_session_{name}", interrupts), \
                            self.assertRaises(KeyboardInterrupt):
                        getattr(session, name)(tokens)
                    self.assertEqual(session.tokens, start)
                    if start:
                        again = self.session()
                        again.append(start)
                        self.assertEqual(bytes(session.logits()), bytes(again.logits()))
                    session.append(tokens[:3])
                    # Neither do those that the library refuses.
                    for refused in (tokens + [self.model.vocabulary], tokens * 2):
                        before = session.tokens, bytes(session.logits())
                        with self.assertRaises(phi.Error):
                            getattr(session, name)(refused)
                        self.assertEqual((session.tokens, bytes(session.logits())), before)

    def test_an_interrupted_short_call_changes_nothing(self) -> None:
        """Also when the interruption comes as the library returns."""
        tokens, library = self.many_tokens(), phi._library.library
        for name in ("append", "score"):
            for start, truncated in ([], None), (tokens[:5], None), (tokens[:6], 5):
                for count in (1, 5, 200):
                    with self.subTest(name, start=start, truncated=truncated, count=count):
                        session = self.session()
                        session.append(start)
                        if truncated:
                            session.truncate(truncated)
                        before, state = session.tokens, session._state()
                        function = getattr(library, f"phi_session_{name}")

                        calls: list[int] = []

                        def interrupts(
                            *arguments: object, function: Callable[..., int] = function, calls: list[int] = calls
                        ) -> int:
                            calls.append(function(*arguments))
                            if len(calls) == 1:
                                raise KeyboardInterrupt
                            return calls[-1]

                        with mock.patch.object(library, f"phi_session_{name}", interrupts), \
                                self.assertRaises(KeyboardInterrupt):
                            getattr(session, name)(tokens[:count])
                        self.assertEqual(calls[0], 0)
                        self.assertEqual((session.tokens, session._state()), (before, state))
                        if state[1]:
                            again = self.session()
                            again.append(before)
                            self.assertEqual(bytes(session.logits()), bytes(again.logits()))

    def test_an_interrupted_generation_loses_no_piece(self) -> None:
        library, options = phi._library.library, {"maximum_tokens": 12, "log_probabilities": 2}
        expected = list(self.session().generate(PROMPT, **options))
        function, calls = library.phi_generation_next, []

        def interrupts(*arguments: object) -> int:
            calls.append(function(*arguments))
            if len(calls) % 3 == 1:
                raise KeyboardInterrupt
            return calls[-1]

        made, interruptions = [], 0
        generation = self.session().generate(PROMPT, **options)
        with mock.patch.object(library, "phi_generation_next", interrupts):
            while True:
                try:
                    made.append(next(generation))
                except StopIteration:
                    break
                except KeyboardInterrupt:
                    interruptions += 1
        self.assertEqual(made, expected)
        self.assertGreater(interruptions, 3)

    def test_a_generation_is_not_freed_while_another_thread_cancels(self) -> None:
        library = phi._library.library
        cancel = library.phi_generation_cancel
        generation = self.session().generate(PROMPT)
        closing = threading.Thread(target=generation.close)

        def cancels(handle: ctypes.c_void_p) -> None:
            closing.start()
            closing.join(0.2)
            self.assertTrue(closing.is_alive())
            cancel(handle)

        with mock.patch.object(library, "phi_generation_cancel", cancels):
            generation.cancel()
            closing.join()
            self.assertTrue(generation.closed)
            generation.cancel()

    def test_another_thread_cancels(self) -> None:
        session = self.session()
        generation = session.generate("x = 1\n", logit_bias={self.model.end_of_text: -math.inf}, temperature=1)
        started = threading.Event()

        def cancel() -> None:
            started.wait()
            generation.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        with self.assertRaises(phi.Cancelled):
            for _ in generation:
                started.set()
                thread.join()
        self.assertLess(len(session.tokens), self.model.context)

    def test_types(self) -> None:
        for call in [
            lambda: phi.Model(7),
            lambda: phi.Session(str(MODEL)),
            lambda: phi.Session(self.model, threads="2"),
            lambda: phi.Session(self.model, context=1.5),
            lambda: phi.Session(self.model, cache=8),
            lambda: self.model.tokenize(7),
            lambda: self.model.detokenize("text"),
            lambda: self.model.detokenize(b"text"),
            lambda: self.model.detokenize([1.0]),
            lambda: self.model.detokenize(7),
            lambda: self.session().append([None]),
            lambda: self.session().truncate("1"),
            lambda: self.session().truncate(None),
            lambda: self.session().restore("text"),
            lambda: self.session().generate(7),
            lambda: self.session().generate("x", temperature="1"),
            lambda: self.session().generate("x", seed=1.5),
            lambda: self.session().generate("x", stop=[b"x"]),
            lambda: self.session().generate("x", logit_bias={"x": 1}),
            lambda: self.session().generate("x", maximum_tokens="1"),
            lambda: self.session().generate("x", tokens=1),
            lambda: phi.Generation(self.model, "x"),
            lambda: self.session().generate("x", logit_bias=[1]),
            lambda: self.session().generate("x", logit_bias=0),
            lambda: self.session().generate("x", json_schema={"enum": {1}}),
            lambda: self.session().generate("x", json_schema=True),
        ]:
            with self.subTest(line=call.__code__.co_firstlineno), self.assertRaises(TypeError):
                call()

    def test_wrong_values(self) -> None:
        """Each is one of the package's errors, in one line."""
        loop: dict[str, object] = {}
        loop["items"] = loop
        session, huge = self.session(), 10**5000
        for message, call in [
            ("surrogate", lambda: self.model.tokenize("\ud800")),
            ("surrogate", lambda: session.complete("\udc80")),
            ("surrogate", lambda: session.complete("x", stop="\ud800")),
            ("surrogate", lambda: session.complete("x", regex="\ud800")),
            ("surrogate", lambda: session.complete("x", json_schema='"\ud800"')),
            ("zero byte", lambda: phi.Model("a\0b")),
            ("zero byte", lambda: phi.Model(b"a\0b")),
            ("encoding", lambda: phi.Model("\ud800")),
            ("no such file", lambda: phi.Model(b"/no/such/\xff")),
            ("temperature", lambda: session.complete("x", temperature=10**400)),
            ("top_p", lambda: session.complete("x", top_p=Fraction(10**400))),
            ("logit_bias", lambda: session.complete("x", logit_bias={1: huge})),
            ("logit_bias", lambda: session.complete("x", logit_bias={1: -1e39})),
            ("logit_bias", lambda: session.complete("x", logit_bias={1: 1e39})),
            ("repeat.penalty", lambda: session.complete("x", repeat_penalty=1e-50)),
            ("repeat.penalty", lambda: session.complete("x", repeat_penalty=1e50)),
            ("bits is not a token", lambda: session.append([huge])),
            ("bits", lambda: session.complete("x", maximum_tokens=huge)),
            ("written as JSON", lambda: session.complete("x", json_schema=loop)),
            ("written as JSON", lambda: session.complete("x", json_schema={"const": huge})),
        ]:
            with self.subTest(line=call.__code__.co_firstlineno), self.assertRaisesRegex(phi.Error, message) as caught:
                call()
            self.assertNotIn("\n", str(caught.exception))

    def test_a_schema_is_any_mapping(self) -> None:
        inner = types.MappingProxyType({"enum": ["a", "b"]})
        schema = types.MappingProxyType({"type": "array", "items": inner, "minItems": 2, "maxItems": 2})
        made = json.loads(self.session().complete(PROMPT, json_schema=schema))
        self.assertTrue(len(made) == 2 and set(made) <= {"a", "b"}, made)

    def test_copies_are_refused(self) -> None:
        """Each would free the same object of the library."""
        session = self.session()
        for one in (self.model, session, session.generate("x")):
            for call in (copy.copy, copy.deepcopy, pickle.dumps):
                with self.subTest(type(one).__name__, call=call), self.assertRaisesRegex(TypeError, "cannot be copied"):
                    call(one)

    def test_numbers_out_of_range(self) -> None:
        """None of them wraps around to a valid one."""
        for options in [
            {"maximum_tokens": -1}, {"maximum_tokens": 1 << 64}, {"seed": -1}, {"seed": 1 << 64}, {"top_k": 1 << 32},
            {"log_probabilities": 1 << 32}, {"logit_bias": {1 << 32: 1.0}},
        ]:
            with self.subTest(options), self.assertRaises(phi.Error):
                self.session().complete("x", **options)
        for call in [
            lambda: self.session(context=1 << 32), lambda: phi.Session(self.model, threads=(1 << 32) + 1),
            lambda: self.session().truncate(-1), lambda: self.session().fork(-1), lambda: self.session().save(1 << 64),
        ]:
            with self.subTest(line=call.__code__.co_firstlineno), self.assertRaises(phi.Error):
                call()

    def test_context_managers(self) -> None:
        with phi.Model(MODEL) as model, phi.Session(model, threads=1) as session:
            with session.generate(PROMPT) as generation:
                self.assertIs(iter(generation), generation)
                next(generation)
            self.assertEqual((generation.closed, list(generation)), (True, []))
            self.assertEqual(len(session), len(session.tokens))
        self.assertTrue(model.closed and session.closed)
        for call in (lambda: model.tokenize("x"), lambda: phi.Session(model), lambda: session.logits()):
            with self.assertRaisesRegex(phi.Error, "closed"):
                call()

    def test_a_session_outlives_its_model_and_a_generation_its_session(self) -> None:
        expected = self.session().complete(PROMPT, maximum_tokens=8)
        model = phi.Model(MODEL)
        session = phi.Session(model, threads=1)
        generation = session.generate(PROMPT, maximum_tokens=8)
        model.close()
        session.close()
        self.assertEqual("".join(piece.text for piece in generation), expected)

    def test_logits(self) -> None:
        session = self.session()
        session.append(self.model.tokenize(PROMPT))
        logits = session.logits()
        self.assertEqual(len(logits), self.model.vocabulary)
        if numpy is None:
            self.assertIsInstance(logits, memoryview)
            self.assertEqual(logits.format, "f")
        else:
            self.assertEqual((logits.dtype, logits.shape), (numpy.float32, (self.model.vocabulary,)))
            again = self.session()
            again.append(numpy.array(session.tokens))
            self.assertTrue((again.logits() == logits).all())
            self.assertEqual(
                session.fork().complete([numpy.int64(token) for token in session.tokens], maximum_tokens=4),
                self.session().complete(session.tokens, maximum_tokens=4))

    def test_is_typed(self) -> None:
        self.assertTrue(Path(phi.__file__).with_name("py.typed").exists())
        self.assertEqual(phi.__version__, run(COMMAND, "--version").stdout.strip())


if __name__ == "__main__":
    unittest.main()
