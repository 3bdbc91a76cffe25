"""Rules of ARCHITECTURE.md and of the documents that a script can check."""
from __future__ import annotations

import os
import re
import unittest
from collections import Counter
from pathlib import Path

import architecture
from architecture import LAYERS, REPOSITORY, SOURCES

LONGEST = 350
REASON = re.compile(r"Longer than 350 lines because \w+")
PUBLIC_TYPE = re.compile(r"^public (?:final |indirect )*(?:struct|class|enum|protocol|actor|typealias) (\w+)", re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w.+-]+(?:/[\w.+-]+)+\.(?:swift|c|h|inc|py|md|map))`")


def files(suffixes: str, *folders: str) -> list[Path]:
    """The files in these folders of the repository that have one of the suffixes, without dot folders."""
    found = []
    for folder in folders:
        for path, names, here in os.walk(REPOSITORY / folder):
            names[:] = [name for name in names if not name.startswith(".")]
            found += [Path(path, name) for name in here if Path(name).suffix in suffixes.split()]
    return sorted(found)


PAGES = files(".md", ".")


class ModuleTests(unittest.TestCase):
    def test_the_diagram_shows_the_imports(self) -> None:
        page = architecture.PAGE.read_text(encoding="utf-8")
        self.assertEqual(page, architecture.put_in(page), "run: python Tools/architecture.py")

    def test_every_module_has_one_layer(self) -> None:
        self.assertEqual(Counter(name for _, names in LAYERS for name in names), Counter(architecture.modules()))

    def test_every_module_is_described(self) -> None:
        rows = "".join(re.findall(r"^\| `.*\|", architecture.PAGE.read_text(encoding="utf-8"), re.M))
        self.assertEqual([name for name in architecture.modules() if f"`{name}`" not in rows], [])

    def test_imports_point_to_lower_layers(self) -> None:
        layer = {name: number for number, (_, names) in enumerate(LAYERS) for name in names}
        upwards = [
            f"{module} imports {name}" for module, names in architecture.imports().items() for name in names
            if layer[name] >= layer[module]]
        self.assertEqual(upwards, [])

    def test_no_name_is_a_permutation_of_another(self) -> None:
        letters = Counter("".join(sorted(name.lower())) for name in architecture.modules())
        self.assertEqual([name for name in architecture.modules() if letters["".join(sorted(name.lower()))] > 1], [])

    def test_foundation_stays_out_of_the_library(self) -> None:
        libraries = ("Phi", "PhiFormat", "PhiTokenizer", "PhiCAPI")
        swift = files(".swift", *(f"Sources/{name}" for name in libraries))
        using = [path.name for path in swift if "Foundation" in architecture.IMPORT.findall(path.read_text())]
        self.assertEqual(using, [])

    def test_long_files_give_a_reason(self) -> None:
        sources = files(".swift .c .h .inc", "Sources", "Tests")
        texts = {str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8") for path in sources}
        long = [name for name, text in texts.items() if text.count("\n") > LONGEST and not REASON.search(text)]
        self.assertEqual(long, [], 'a file needs "Longer than 350 lines because ..."')


class DocumentTests(unittest.TestCase):
    def test_the_documentation_lists_every_public_type(self) -> None:
        page = (SOURCES / "Phi/Phi.docc/Phi.md").read_text(encoding="utf-8")
        listed = set(re.findall(r"^- ``(\w+)``", page, re.M))
        for path in (SOURCES / "Phi").rglob("*.swift"):
            missing = set(PUBLIC_TYPE.findall(path.read_text(encoding="utf-8"))) - listed
            self.assertEqual(missing, set(), f"{path.name}: not under Topics in Phi.md")

    def test_the_documentation_names_what_import_phi_brings(self) -> None:
        pages = "".join(page.read_text(encoding="utf-8") for page in (SOURCES / "Phi/Phi.docc").glob("*.md"))
        for module in ("PhiFormat", "PhiTokenizer"):
            for path in (SOURCES / module).rglob("*.swift"):
                for name in PUBLIC_TYPE.findall(path.read_text(encoding="utf-8")):
                    self.assertTrue(f"`{name}`" in pages, f"{module}/{path.name}: no page names {name}")

    def test_links_between_documents_lead_somewhere(self) -> None:
        for page in PAGES:
            for target in LINK.findall(page.read_text(encoding="utf-8")):
                if "://" not in target and not target.startswith("#"):
                    found = page.parent / target.partition("#")[0]
                    self.assertTrue(found.exists(), f"{page.relative_to(REPOSITORY)} links {target}")

    def test_files_that_documents_name_exist(self) -> None:
        missing = [
            f"{page.relative_to(REPOSITORY)} names {name}" for page in PAGES
            for name in FILE.findall(page.read_text(encoding="utf-8"))
            if "NAME" not in name and not any((base / name).exists() for base in (REPOSITORY, SOURCES, page.parent))]
        self.assertEqual(missing, [])

    def test_types_that_the_architecture_names_exist(self) -> None:
        code = "".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.swift"))
        for name, member in re.findall(r"`([A-Z]\w+)\.([a-z]\w+)`", architecture.PAGE.read_text(encoding="utf-8")):
            if (name, member) not in (("Phi", "docc"), ("CPhiKernels", "h")):
                self.assertTrue(re.search(rf"(struct|class|enum|protocol|actor) {name}\b", code), name)
                self.assertTrue(re.search(rf"\b(let|var|func|case) {member}\b", code), f"{name}.{member}")

    def test_make_targets_that_documents_name_exist(self) -> None:
        makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
        targets = {name for line in re.findall(r"^([\w-]+(?: [\w-]+)*):", makefile, re.M) for name in line.split()}
        for page in PAGES:
            named = set(re.findall(r"(?:`|^    )make ([\w-]+)", page.read_text(encoding="utf-8"), re.M))
            self.assertEqual(named - targets, set(), page.relative_to(REPOSITORY))

    def test_options_that_the_readme_shows_exist(self) -> None:
        swift = files(".swift", "Sources/PhiCLI", "Sources/PhiCommandSupport", "Sources/PhiServerCommand")
        swift.append(SOURCES / "Phi/Generation/SamplingOptions.swift")
        code = "".join(path.read_text(encoding="utf-8") for path in swift)
        for line in re.findall(r"^phi.*$", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.M):
            for name in re.findall(r" --([a-z][a-z-]*)", line):
                variable = re.sub(r"-(\w)", lambda match: match[1].upper(), name)
                self.assertTrue(f'"{name}"' in code or f"var {variable}" in code, f"--{name}")

    def test_the_changelog_has_the_version(self) -> None:
        version = re.search(r'"([\d.]+)"', (SOURCES / "Phi/Version.swift").read_text(encoding="utf-8"))
        assert version
        self.assertIn(f"\n## [{version[1]}]", (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"))

    def test_lines_of_documents_are_short(self) -> None:
        long = [
            f"{page.relative_to(REPOSITORY)}:{number}" for page in PAGES
            for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1) if len(line) > 160]
        self.assertEqual(long, [])


if __name__ == "__main__":
    unittest.main()
