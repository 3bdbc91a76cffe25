"""Tests of what commands print: an output that nobody reads, or that is full, ends them without blaming a file."""
from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1]
FILE = TOOLS.parent / "Formats" / "good" / "q4.phi"


class Output(unittest.TestCase):
    def run_with(self, output: int | str, *command: str | Path) -> tuple[int, str]:
        """Run a module with a descriptor or a file as its output; return the exit status and standard error."""
        with open(output, "wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", *map(str, command)], stdout=out, stderr=subprocess.PIPE, text=True,
                env=os.environ | {"PYTHONPATH": str(TOOLS)})
        return done.returncode, done.stderr

    def unread(self, *command: str | Path) -> tuple[int, str]:
        reads, writes = os.pipe()
        os.close(reads)
        return self.run_with(writes, *command)

    def test_an_output_that_nobody_reads_ends_a_command_quietly(self) -> None:
        for command in (
                ("phitools.phi_file", FILE), ("phitools.phi_file", FILE, "--sha256-of-tensors"),
                ("phitools.exercises", "--count", "3")):
            self.assertEqual(self.unread(*command), (141, ""), command)
        for module in ("phitools.phi_file", "phitools.seeded"):  # argparse ends with 0 where Python does not buffer
            self.assertIn(self.unread(module, "--help"), [(141, ""), (0, "")])

    @unittest.skipUnless(Path("/dev/full").exists(), "/dev/full is missing")
    def test_a_full_output_is_told_and_no_file_is_blamed(self) -> None:
        for command in (("phitools.phi_file", FILE), ("phitools.exercises", "--count", "3")):
            self.assertEqual(
                self.run_with("/dev/full", *command),
                (1, "standard output: cannot be written (No space left on device)\n"), command)

    def test_a_path_that_is_no_text_is_printed_as_it_is(self) -> None:
        code = "from phitools.output import show; import os; show(os.fsdecode(b'a\\xfe'))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True,
            env=os.environ | {"PYTHONPATH": str(TOOLS), "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"})
        self.assertEqual((done.stdout, done.stderr), (b"a\xfe\n", b""))


if __name__ == "__main__":
    unittest.main()
