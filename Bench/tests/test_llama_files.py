"""Tests of `llama_files.py` with a build whose tools are scripts."""
import os
import tempfile
import unittest
from pathlib import Path

from refusals import RefusalTests, put

from llama_files import Llama, run


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
        self.tool("llama-quantize", "")
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


class LlamaRefusalTests(RefusalTests):
    def test_what_a_build_lacks(self) -> None:
        def main(_: list[str]) -> None:
            Llama(Path("build"), Path("scratch"))

        self.refused(main, "", "build: has no CMakeCache.txt; give the folder")
        put("build/CMakeCache.txt", "x")
        self.refused(main, "", "build: has no source with include/llama.h")
        put("build/CMakeCache.txt", "CMAKE_HOME_DIRECTORY:INTERNAL=source\nCMAKE_C_COMPILER:FILEPATH=/no/compiler\n")
        put("source/include/llama.h")
        self.refused(main, "", "build/bin/llama-quantize: no such program; build its target")
        for name in ("llama-quantize", "llama-imatrix"):
            put(f"build/bin/{name}", "#!/bin/sh\n", executable=True)
        self.refused(main, "", "/no/compiler: no such program")
        self.assertFalse(Path("scratch").exists())

    def test_a_command_that_fails(self) -> None:
        self.refused(lambda words: run(*words), ["./none", "x"], "./none: cannot be run")
        put("tool", "#!/bin/sh\necho much\necho first >&2\necho the fault >&2\nexit 2\n", executable=True)
        self.refused(lambda words: run(*words), ["./tool", "a b"], "./tool 'a b': ended with 2: the fault")


if __name__ == "__main__":
    unittest.main()
