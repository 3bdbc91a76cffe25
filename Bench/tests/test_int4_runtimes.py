"""Tests of the command line of int4_runtimes.py; no runtime is called."""
import contextlib
import io
import unittest
from pathlib import Path
from unittest.mock import patch

import numpy as np
from refusals import RefusalTests, files, put

import int4_runtimes


class Int4RuntimesTests(unittest.TestCase):
    def test_commands(self) -> None:
        for arguments, function, given in (
                ("export-onnxruntime c o", "export_onnxruntime", ("c", "o")),
                ("export-openvino c o", "export_openvino", ("c", "o", "", "")),
                ("export-openvino c o gptq t", "export_openvino", ("c", "o", "gptq", "t")),
                ("logits i 255 l m", "write_logits", ("i", 255, "l", "m"))):
            with patch.object(int4_runtimes, function) as called:
                int4_runtimes.main(arguments.split())
            called.assert_called_once_with(*given)

    def test_faults_and_help(self) -> None:
        for arguments, status, text in (
                ("", 2, "COMMAND"), ("other", 2, "'other'"), ("export-openvino c o gptq", 2, "METHOD requires TEXT"),
                ("logits i many l m", 2, "'many'"), ("--help", 0, "export-openvino")):
            printed = io.StringIO()
            with (contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed),
                    self.assertRaises(SystemExit) as ended):
                int4_runtimes.main(arguments.split())
            self.assertEqual(ended.exception.code, status)
            self.assertIn(text, printed.getvalue())


class Int4RuntimesRefusalTests(RefusalTests):
    def test_inputs_are_checked(self) -> None:
        put("phi/config.json", "{}")
        put("phi/model.safetensors")
        put("text.txt", "some")
        put("empty.txt")
        put("full/x")
        np.save("ids.npy", np.zeros((2, 4), np.int64))
        np.save("floats.npy", np.zeros((2, 4)))
        before = files()
        for arguments, words in (
                ("export-onnxruntime nofile out", ["nofile: no such folder"]),
                ("export-onnxruntime phi full", ["full: holds files already"]),
                ("export-openvino owner/name out", ["owner/name: no such folder"]),
                ("export-openvino phi text.txt", ["text.txt", "not a folder"]),
                ("export-openvino phi out gptq nofile", ["nofile: no such file"]),
                ("export-openvino phi out gptq empty.txt", ["empty.txt: is empty"]),
                ("export-openvino phi out gptq text.txt", ["phi/tokenizer.json: no such file"]),
                ("logits nofile 3 out.npy phi", ["nofile: no such file"]),
                ("logits text.txt 3 out.npy phi", ["text.txt: is no file of NumPy"]),
                ("logits empty.txt 3 out.npy phi", ["empty.txt: is no file of NumPy"]),
                ("logits floats.npy 3 out.npy phi", ["floats.npy: is to hold whole numbers"]),
                ("logits ids.npy 0 out.npy phi", ["JUDGED", "'0'"]),
                ("logits ids.npy 4 out.npy phi", ["JUDGED 4 is to be below 4"]),
                ("logits ids.npy 3 none/out.npy phi", ["no folder none"]),
                ("logits ids.npy 3 out.npy phi", ["phi: has no model.onnx"])):
            with self.subTest(arguments):
                self.refused(int4_runtimes.main, arguments, "int4_runtimes", *words)
                self.assertEqual(files(), before)

    def test_nothing_is_written_in_part(self) -> None:
        put("phi/config.json", "{}")
        put("phi/model.safetensors")
        put("model/model.onnx")
        np.save("ids.npy", np.zeros((2, 4), np.int64))
        before = files()

        def builder(*command: object) -> None:
            folder = Path(str(command[command.index("-o") + 1]))
            Path(folder, "model.onnx").touch()
            if "fault" in self.kind:
                raise SystemExit("builder: ended with 1")

        def forward(_: np.ndarray) -> np.ndarray:
            raise RuntimeError("of the runtime,\nin two lines")

        with (patch.object(int4_runtimes, "run", builder), patch.object(int4_runtimes, "find_spec", bool),
                patch.object(int4_runtimes, "onnxruntime_forward", return_value=forward)):
            self.refused(
                int4_runtimes.main, "logits ids.npy 3 out.npy model",
                "int4_runtimes: model: cannot be run on ids.npy (of the runtime, in two lines)")
            self.kind = "fault"
            self.refused(int4_runtimes.main, "export-onnxruntime phi out", "builder: ended with 1")
            self.assertEqual((files(), Path("out").exists()), (before, False))
            self.kind = "good"
            int4_runtimes.main("export-onnxruntime phi out".split())
            self.assertEqual(files(), before | {"out/model.onnx": b""})


if __name__ == "__main__":
    unittest.main()
