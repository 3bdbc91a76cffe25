"""Tests of the command line of int4_runtimes.py; no runtime is called."""
import contextlib
import io
import unittest
from unittest.mock import patch

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


if __name__ == "__main__":
    unittest.main()
