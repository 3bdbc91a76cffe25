"""What the tests of refusals have in common."""
import contextlib
import io
import os
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

PHI_MAGIC = b"\x89PHI\r\n\x1a\n"


class RefusalTests(unittest.TestCase):
    """Tests in a folder of their own, which is the current one."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(scratch.name)

    def refused(self, main: Callable[[list[str]], None], arguments: str | list[str], *words: str) -> None:
        """Assert that the program ends with a fault, one line on standard error that has the words, and no output."""
        given = arguments.split() if isinstance(arguments, str) else arguments
        output, errors = io.StringIO(), io.StringIO()
        with (contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors),
                self.assertRaises(SystemExit) as ended):
            main(given)
        code = ended.exception.code
        text = errors.getvalue() or f"{code}\n"  # of `sys.exit` with a text, which Python prints
        self.assertNotIn(code, (0, None), arguments)
        self.assertEqual((text.count("\n"), output.getvalue()), (1, ""), text)
        for word in words:
            self.assertIn(word, text)


def put(name: str, content: str | bytes = "", executable: bool = False) -> Path:
    """Write a file and its folder."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if executable:
        path.chmod(0o755)
    return path


def files() -> dict[str, bytes]:
    """All files of the current folder."""
    return {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}
