"""Generated exercises: small, correct, typed Python functions with docstrings ("textbook" code).

    python Tools/train/exercises.py --count 20 --seed 1          # look at some

Cost: about 3,000 checked exercises a second on one core. Expect functions (and a few classes) separated by a
line of dashes.

Every exercise has a body (the solution), a reference written independently of the body, and a rule that draws
arguments. An exercise is kept only when the body, run on the drawn arguments, prints what the reference says, and
when the `>>>` examples of its docstring pass under `doctest`. Variety comes from wordings, names, alternative
bodies and, above all, from the combining families in `families.py`. Same seed, same exercises.
"""
from __future__ import annotations

import argparse
import copy
import doctest
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from string import Template
from typing import Any

# Names a solution may give to its own variables; `$total` in a body becomes one of these.
LOCALS: dict[str, list[str]] = {
    "total": ["total", "total", "result", "acc"],
    "out": ["result", "result", "output", "res"],
    "x": ["x", "item", "value", "element"],
    "i": ["i", "i", "index", "idx"],
    "ch": ["char", "ch", "c", "letter"],
    "w": ["word", "w", "token"],
    "count": ["count", "count", "counter"],
    "best": ["best", "best", "current"],
    "k": ["key", "k"],
    "v": ["value", "v", "val"],
}


@dataclass
class Exercise:
    """One exercise before it is written out. `$` names in `doc` and `body` are resolved by `render`."""

    name: str
    params: list[tuple[str, str, str]]  # placeholder, chosen name, type
    returns: str
    doc: str
    body: str
    reference: Callable[..., Any]
    calls: list[tuple[Any, ...]]
    values: dict[str, str] = field(default_factory=dict)


def choose(r: random.Random, text: str) -> str:
    """One of the alternatives of "a|b|c"."""
    return r.choice(text.split("|"))


def parse_params(r: random.Random, spec: str) -> list[tuple[str, str, str]]:
    """"n/number: int; k: int" -> [(placeholder, drawn name, type)]; the first alternative is the placeholder."""
    out: list[tuple[str, str, str]] = []
    for part in filter(None, (p.strip() for p in spec.split(";"))):
        names, kind = (s.strip() for s in part.split(":", 1))
        options = names.split("/")
        taken = {p[1] for p in out}
        out.append((options[0], r.choice([o for o in options if o not in taken]), kind))
    return out


def render(ex: Exercise, r: random.Random) -> str:
    """Write the exercise as source text, in one of several ordinary docstring styles."""
    names = {p: chosen for p, chosen, _ in ex.params}
    taken = set(names.values())
    for key, options in LOCALS.items():
        if key not in names:
            free = [o for o in options if o not in taken] or [key + "_"]
            names[key] = r.choice(free)
            taken.add(names[key])
    names.update(ex.values)
    names["f"] = ex.name
    typed = r.random() < 0.7
    args = ", ".join(f"{c}: {t}" if typed else c for _, c, t in ex.params)
    head = f"def {ex.name}({args})" + (f" -> {ex.returns}:" if typed else ":")
    doc = Template(ex.doc).substitute(names)
    doc = doc[0].upper() + doc[1:]
    body = Template(ex.body.strip("\n")).substitute(names)
    examples = ""
    if r.random() < 0.5:
        for call in ex.calls[: r.choice([1, 1, 2])]:
            shown = ", ".join(repr(a) for a in call)
            value = ex.reference(*copy.deepcopy(call))
            examples += f"    >>> {ex.name}({shown})\n    {value!r}\n" if value is not None else ""
    style = r.random()
    if examples:
        gap = "\n" if style < 0.5 else ""
        text = f'    """{doc}\n{gap}{examples}    """\n' if style < 0.8 else f'    """\n    {doc}\n{examples}    """\n'
    else:
        text = f'    """{doc}"""\n' if style < 0.85 else f'    """\n    {doc}\n    """\n'
    return head + "\n" + text + "\n".join("    " + s if s else "" for s in body.split("\n")) + "\n"


def passes(source: str, ex: Exercise) -> bool:
    """Whether the written solution agrees with the reference on every call and passes its own examples."""
    space: dict[str, Any] = {}
    try:
        exec(compile(source, "<exercise>", "exec"), space)
        for call in ex.calls:
            got = space[ex.name](*copy.deepcopy(call))
            if repr(got) != repr(ex.reference(*copy.deepcopy(call))):
                return False
    except Exception:
        return False
    return doctest_passes(source, space)


def doctest_passes(source: str, space: dict[str, Any]) -> bool:
    """Run the `>>>` lines of a source text in the name space that already holds its definitions."""
    if ">>>" not in source:
        return True
    test = doctest.DocTestParser().get_doctest(source.replace('"""', "\n"), space, "exercise", None, None)
    runner = doctest.DocTestRunner(verbose=False)
    result = runner.run(test, out=lambda _: None, clear_globs=False)
    return result.failed == 0 and result.attempted > 0


def generate(seed: int) -> Iterator[str]:
    """Endless stream of checked, distinct exercises."""
    from families import FAMILIES, class_exercise

    r = random.Random(seed)
    makers = [m for m, _ in FAMILIES]
    weights = [w for _, w in FAMILIES]
    seen: set[str] = set()
    while True:
        if r.random() < 0.04:
            source, space = class_exercise(r), {}
            exec(compile(source, "<exercise>", "exec"), space)
            good = doctest_passes(source, space)
        else:
            ex = r.choices(makers, weights)[0](r)
            source = render(ex, r)
            good = passes(source, ex)
        if not good:
            rejected.append(source)
            continue
        if source not in seen:
            seen.add(source)
            yield source


rejected: list[str] = []  # what `generate` threw away, for a look at mistakes in the families


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rejected", action="store_true", help="print what was thrown away instead")
    args = parser.parse_args()
    stream = generate(args.seed)
    kept = [next(stream) for _ in range(args.count)]
    shown = rejected if args.rejected else kept
    print(("\n" + "-" * 60 + "\n").join(shown))
    print(f"{len(kept)} kept, {len(rejected)} rejected")


if __name__ == "__main__":
    main()
