"""Requirements of tests; a test whose requirements are missing is skipped with a message."""
from __future__ import annotations

import importlib.util
import sys
import unittest


def packages(*names: str) -> None:
    """Skip the calling module's tests unless these packages are installed (`make recipe-deps`)."""
    missing = [n for n in names if importlib.util.find_spec(n) is None]
    if missing:
        text = f"SKIPPED, not tested here: needs {', '.join(missing)}; `make recipe-deps` installs them"
        print(text, file=sys.stderr)
        raise unittest.SkipTest(text)
