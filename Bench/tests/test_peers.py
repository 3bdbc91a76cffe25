"""Tests of the peers' output parsers and of running programs."""
import json
import sys
import unittest
from pathlib import Path

from compare.__main__ import CONTENDERS, default_name
from compare.cases import CASES, TURNS
from compare.peers.llama_cpp import parse, positions
from compare.processes import REPOSITORY, Failed, run, shown
from compare.table import KINDS
from compare.workspace import Workspace

ROW = {"build_commit": "unknown", "n_prompt": 512, "n_gen": 0, "avg_ns": 1, "avg_ts": 148.5, "samples_ts": [148.5]}


class LlamaBenchTests(unittest.TestCase):
    def test_one_row(self):
        self.assertEqual(parse(json.dumps([ROW]))["avg_ts"], 148.5)

    def test_refuses_anything_else(self):
        for text in ["", "[]", "{}", json.dumps([ROW, ROW]), json.dumps([{"avg_ts": 0}]), "error: unknown model"]:
            with self.assertRaises(Failed, msg=text):
                parse(text)

    def test_makes_room_in_256s(self):
        self.assertEqual([positions(n) for n in (1, 128, 256, 257)], [256, 256, 256, 512])


class ContenderTests(unittest.TestCase):
    def test_compared_ones_exist(self):
        labels = [contender.label for contender in CONTENDERS]
        self.assertEqual(len(set(labels)), len(labels))
        for ours, peers in KINDS.items():
            self.assertLessEqual({ours, *peers}, set(labels))

    def test_each_can_something(self):
        for contender in CONTENDERS:
            self.assertTrue(any(contender.can(case) for case in CASES), contender.label)

    def test_every_case_has_its_turn(self):
        self.assertEqual([name for turn in TURNS for name in turn], [case.name for case in CASES])

    def test_results_are_named_after_the_cpu(self):
        self.assertEqual(
            default_name({"machine": {"cpu": "Intel(R) Xeon(R) Processor @ 2.10GHz"}, "isa": "avx2"}),
            "intel-xeon-2-10ghz-avx2")


class ProcessTests(unittest.TestCase):
    def test_output_time_and_memory(self):
        finished = run([sys.executable, "-c", "import time; x = b'1' * (1 << 25); time.sleep(0.2); print(len(x))"])
        self.assertEqual(finished.output.strip(), str(1 << 25))
        self.assertGreater(finished.seconds, 0.2)
        if finished.anonymous_bytes is not None:
            self.assertGreater(finished.anonymous_bytes, 1 << 25)

    def test_failure_has_the_last_line(self):
        with self.assertRaisesRegex(Failed, "ended with 3: what went wrong"):
            run([sys.executable, "-c", "import sys; print('a\\nwhat went wrong', file=sys.stderr); sys.exit(3)"])
        with self.assertRaisesRegex(Failed, "No such file"):
            run(["/no/such/program"])

    def test_commands_can_be_typed(self):
        self.assertEqual(shown(["phi", "bench", "-m", "a b"], {"PHI_ISA": "avx2"}), "PHI_ISA=avx2 phi bench -m 'a b'")
        self.assertEqual(shown([str(REPOSITORY / ".build/phi"), "-m", "/elsewhere/x"]), ".build/phi -m /elsewhere/x")


class WorkspaceTests(unittest.TestCase):
    def test_commands_name_the_default_places(self):
        workspace = Workspace(Path("/some/bench"), Path("/some/bench/phi"), 2, "native", None, None)
        self.assertEqual(
            workspace.by_default("/some/bench/phi bench -m /some/bench/phi1-q4.phi -t 2"),
            ".build/release/phi bench -m .build/bench/phi1-q4.phi -t 2")


if __name__ == "__main__":
    unittest.main()
