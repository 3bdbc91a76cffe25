"""Tests of `llama_files.py` with a build whose tools are scripts."""
import os
import tempfile
import unittest
from pathlib import Path

from llama_files import Llama


class LlamaFiles(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def tool(self, name: str, text: str) -> None:
        path = Path("build/bin", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def test_importance_leaves_nothing_where_the_caller_is(self) -> None:
        self.tool("llama-imatrix", 'touch llama.log; test -f "$2" && test -f "$4" && echo "$@" > "$6"')
        Path("build/CMakeCache.txt").write_text(
            f"CMAKE_HOME_DIRECTORY:INTERNAL={self.folder}/source\nCMAKE_C_COMPILER:FILEPATH=true\n", encoding="utf-8")
        Path("source/include").mkdir(parents=True)
        Path("source/include/llama.h").write_text("llama_kv_cache_clear", encoding="utf-8")
        Path("whole.gguf").touch()
        Path("text.txt").touch()
        before = set(os.listdir())
        found = Llama(Path("build"), Path("scratch")).importance(Path("whole.gguf"), Path("text.txt"), 512, 8192)
        self.assertEqual(set(os.listdir()) - before, {"scratch"})
        self.assertEqual(found, Path("scratch/imatrix.dat"))
        self.assertIn("-c 512 -t 2 --chunks 16 --no-ppl", found.read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
