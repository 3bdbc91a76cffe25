"""Tests of what quantisation.py refuses, before it converts or measures anything."""
import unittest
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

from refusals import RefusalTests, files, put

if find_spec("torch") and find_spec("transformers"):
    import quantisation


@unittest.skipUnless(find_spec("torch") and find_spec("transformers"), "torch or transformers is missing")
class QuantisationRefusalTests(RefusalTests):
    def test_inputs_are_checked_before_anything_is_made(self) -> None:
        for name, content in {"config.json": "{}", "model.safetensors": "", "tokenizer.json": "no tokenizer"}.items():
            put(f"phi/{name}", content)
        put("gptj/config.json", '{"model_type": "gptj"}')
        put("text.txt", "some text")
        put("phi-command", "#!/bin/sh\ntouch started\n", executable=True)
        Path("folder").mkdir()
        before = files()
        for arguments, words in (
                ("--checkpoint nofile", ["nofile: no such folder"]),
                ("--checkpoint owner/name", ["owner/name: no such folder"]),
                ("--checkpoint text.txt", ["text.txt: is not a folder"]),
                ("--checkpoint gptj", ["gptj: is of the type gptj"]),
                ("--text nofile", ["nofile: no such file"]), ("--scratch text.txt", ["text.txt", "not a folder"]),
                ("--phi nofile", ["nofile: no such program; make build"]), ("--calibrate nofile", ["nofile: no such"]),
                ("--llama folder", ["folder: has no CMakeCache.txt"]), ("--ik-llama none", ["none: no such folder"]),
                ("--onnxruntime nofile", ["nofile: no such program"]), ("--openvino folder", ["folder: no such"]),
                ("--humaneval nofile", ["nofile: no such file"]), ("--mbpp nofile", ["nofile: no such file"]),
                ("--windows 0", ["--windows", "'0'"]), ("--problems 0", ["--problems", "'0'"]),
                ("--tokens 0", ["--tokens", "'0'"]), ("", ["phi: its tokenizer cannot be read"])):
            with self.subTest(arguments):
                given = f"--checkpoint phi --text text.txt --scratch scratch --phi ./phi-command {arguments}"
                self.refused(quantisation.main, given, "quantisation: ", *words)
                self.assertEqual(files(), before)

    def test_a_text_is_a_window_at_least(self) -> None:
        put("text.txt", "some text")
        with patch.object(quantisation.PreTrainedTokenizerFast, "from_pretrained") as made:
            made.return_value = lambda text: {"input_ids": list(range(1100))}
            self.assertEqual(quantisation.windows_of(Path("text.txt"), Path("phi"), 9).shape, (2, 512))
            made.return_value = lambda text: {"input_ids": [1] * 511}
            with self.assertRaisesRegex(ValueError, "text.txt: has 511 tokens, and a window 512"):
                quantisation.windows_of(Path("text.txt"), Path("phi"), 9)
            self.assertTrue(made.call_args.kwargs["local_files_only"])


if __name__ == "__main__":
    unittest.main()
