"""Tests of what all scripts have in common: refusals in one line, files that are whole or not there."""
import argparse
import unittest
from pathlib import Path
from unittest.mock import patch

from refusals import RefusalTests, files, put

from inputs import Parser, at_least, checkpoint, file, new_folder, one_line, output, runnable, write_text


class InputsTests(RefusalTests):
    def ends(self, error: BaseException, *words: str) -> None:
        def work(_: list[str]) -> None:
            with one_line("some", interrupted="stopped; start it again"):
                raise error

        self.refused(work, "", "some: ", *words)

    def test_faults_are_one_line(self) -> None:
        self.ends(FileNotFoundError(2, "No such file or directory", "x/y"), "x/y: No such file or directory")
        self.ends(ValueError("a\n  b"), "some: a b")
        self.ends(ModuleNotFoundError(name="torch"), "needs the package torch")
        self.ends(KeyboardInterrupt(), "stopped; start it again")
        with self.assertRaises(KeyError), one_line("some"):  # a fault of the script itself
            raise KeyError("x")

    def test_numbers(self) -> None:
        self.assertEqual([at_least(1)("1"), at_least(2, float)("2.5")], [1, 2.5])
        for kind, text in ((int, "0"), (int, "-1"), (int, "1.5"), (int, "many"), (float, "inf"), (float, "nan")):
            with self.assertRaisesRegex(argparse.ArgumentTypeError, "number of 1 or more"):
                at_least(1, kind)(text)

    def test_files(self) -> None:
        put("a.gguf", b"GGUF and more")
        put("plain")
        put("tool", "#!/bin/sh\n", executable=True)
        Path("folder").mkdir()
        good = {
            "a.gguf": file("a file", b"GGUF"), "tool": runnable("build it"), "folder": new_folder,
            "folder/new/er": new_folder, "folder/new": output}
        for text, kind in good.items():
            kind(text)
        bad = [
            ("nofile", file("a file"), "no such file; give a file"), ("folder", file("a file"), "not a file"),
            ("plain", file("a file", b"GGUF"), "another kind; give a file"),
            ("nofile", runnable("build it"), "no such program; build it"), ("plain", runnable("build it"), "build it"),
            ("plain", new_folder, "not a folder"), ("plain/x", new_folder, "not a folder"),
            ("folder", output, "is a folder"), ("none/x", output, "no folder none")]
        for text, kind, words in bad:
            parser = Parser(prog="some")
            parser.add_argument("--given", type=kind)

            def main(arguments: list[str], parser: Parser = parser) -> None:
                with one_line("some"):
                    parser.parse_args(arguments)

            self.refused(main, ["--given", text], f"some: {text}: ", words)

    def test_a_checkpoint_is_a_folder_with_a_phi(self) -> None:
        for content, words in (
                (None, "no such folder"), ("[]", "not a model's configuration"),
                ('{"model_type": "gptj"}', "type gptj, not phi"), ("{}", "no weights")):
            if content:
                put("phi/config.json", content)
            with self.assertRaisesRegex(OSError, words):
                checkpoint("phi")
        Path("empty").mkdir()
        with self.assertRaisesRegex(OSError, "no config.json"):
            checkpoint("empty")
        put("phi/model.safetensors")
        self.assertEqual(checkpoint("phi"), Path("phi"))

    def test_a_file_is_replaced_as_a_whole(self) -> None:
        put("x", "old")
        Path("link").symlink_to("x")
        with patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            with self.assertRaisesRegex(OSError, r"x: cannot be written \(No space left on device\)"):
                write_text(Path("x"), "new")
        self.assertEqual(files(), {"link": b"old", "x": b"old"})
        write_text(Path("link"), "new")
        self.assertEqual(files(), {"link": b"new", "x": b"new"})
        self.assertTrue(Path("link").is_symlink())
        write_text(Path("/dev/null"), "new")
        self.assertFalse(Path("/dev/null").is_file())


if __name__ == "__main__":
    unittest.main()
