"""The modules in Sources, their imports, and the diagram of them in ARCHITECTURE.md.

    python Tools/architecture.py        rewrites the diagram

`Tools/tests/test_architecture.py` fails when the diagram differs from the imports.
"""
from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = REPOSITORY / "Sources"
PAGE = REPOSITORY / "ARCHITECTURE.md"
BEGIN, END = "<!-- modules: written by Tools/architecture.py -->", "<!-- end of modules -->"

# Every module, bottom layer first. A module imports modules of lower layers only.
LAYERS: list[tuple[str, list[str]]] = [
    ("C and the system", [
        "CPhi", "CPhiArguments", "CPhiCalibration", "CPhiHTTP",
        "CPhiKernels", "CPhiModel", "CPhiPlayground", "CPhiProblems", "CPhiSandbox", "CPhiSupport", "CZlib",
        "PhiSystem"]),
    ("text and files", ["PhiTokenizer", "PhiFormat"]),
    ("engine", ["Phi", "PhiHTTP", "PhiJSON", "CPhiKernelCases"]),
    ("around the engine", ["PhiCAPI", "PhiCheckpoint", "PhiBench", "PhiEval", "PhiServer"]),
    ("conversion", ["PhiConvert", "PhiHub"]),
    ("shared by commands", ["PhiCommandSupport"]),
    ("commands", ["PhiCLI", "PhiServerCommand"]),
]

IMPORT = re.compile(
    r"^(?:@\w+(?:\(\w+\))? +)*(?:(?:public|package|internal|private|fileprivate) +)?import +(?:\w+ +)?(\w+)", re.M)
INCLUDE = re.compile(r"^#\s*include +[\"<]([\w./]+)[\">]", re.M)


def modules() -> list[str]:
    return sorted(path.name for path in SOURCES.iterdir() if path.is_dir())


def headers() -> dict[str, str]:
    """The module of each public C header."""
    return {path.name: path.relative_to(SOURCES).parts[0] for path in SOURCES.glob("*/include/*.h")}


def imports() -> dict[str, set[str]]:
    """The modules of Sources that each of them imports, in Swift or by a C header."""
    known, header = set(modules()), headers()
    found: dict[str, set[str]] = {module: set() for module in known}
    for path in SOURCES.rglob("*"):
        module = path.relative_to(SOURCES).parts[0]
        if path.suffix == ".swift":
            found[module] |= set(IMPORT.findall(path.read_text(encoding="utf-8"))) & known
        elif path.suffix in (".c", ".h"):
            names = INCLUDE.findall(path.read_text(encoding="utf-8"))
            found[module] |= {header[name] for name in names if name in header}
    return {module: names - {module} for module, names in found.items()}


def reachable(graph: dict[str, set[str]], module: str) -> set[str]:
    """The modules that the module imports, directly or through others."""
    seen: set[str] = set()
    left = list(graph[module])
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += graph[name]
    return seen


def diagram() -> str:
    """The block for ARCHITECTURE.md: layers as boxes, imports as arrows, without those that follow from others."""
    graph = imports()
    lines = ["```mermaid", "flowchart TD"]
    for number, (title, names) in reversed(list(enumerate(LAYERS))):
        lines.append(f'    subgraph layer{number}["{title}"]')
        lines += [f"        {name}" for name in names]
        lines.append("    end")
    for _, names in reversed(LAYERS):
        for name in names:
            through = set().union(*(reachable(graph, other) for other in graph[name]))
            lines += [f"    {name} --> {other}" for other in sorted(graph[name] - through)]
    return "\n".join([*lines, "```"])


def put_in(page: str) -> str:
    """The page with a new diagram between its markers."""
    before, found, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise ValueError(f"{PAGE.name} lacks the markers of the diagram")
    return f"{before}{BEGIN}\n\n{diagram()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(put_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
