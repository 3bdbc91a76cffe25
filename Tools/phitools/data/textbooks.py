"""Generated textbook pages: a topic, an audience, an explanation, code, and the output of running it.

A page takes ideas of the exercises' grammar (parts with their words and code) and explains them one at a time: what the
property or the change is, how Python writes it, a few lines that use it, what they print. Pages never state a whole
exercise in docstring form, as exercises do.
"""
from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterator

from ..exercises import families_sets as sets
from ..exercises.draw import Draw
from ..exercises.folds import FOLDS, Loop
from ..exercises.generate import held_out_kind
from ..exercises.sources import CHARACTERS, NUMBERS, STRINGS

AUDIENCES = {
    "beginners": [
        "If you are new to Python, go slowly here.", "This is one of the first things to learn.",
        "Read the code aloud before you run it."],
    "data analysts": [
        "This comes up whenever a table has to be summed up.", "The same idea works on a column of a table.",
        "Real data has gaps, so test the empty case too."],
    "engineers": [
        "The loop runs once over the data, so the cost is linear.",
        "Prefer the form that a colleague can read at once.", "Both forms below give the same answer."],
    "students": [
        "Try to predict the output before you look at it.",
        "Write the loop first, and the short form when it works.", "Change the numbers and run it again."]}

OPENINGS = [
    "Suppose we want {what}.", "A common task is to find {what}.", "Let us compute {what}.", "How do we get {what}?",
    "In this section we look for {what}."]
CONDITIONS = [
    "The condition is written `{code}`.", "In Python we test this with `{code}`.",
    "An element belongs to the result when `{code}` is true.", "The expression `{code}` is True exactly then."]
CHANGES = ["Each element becomes `{code}`.", "We change each element with `{code}`.", "The new value is `{code}`."]
ENDS = {
    "sum": "A sum starts at 0, and we add one value at a time.",
    "product": "A product starts at 1, because multiplying by 0 would lose everything.",
    "count": "To count, start at 0 and add 1 for each hit.",
    "largest": "The largest value so far is kept in a variable; None says that there is none yet.",
    "smallest": "The smallest value so far is kept in a variable; None says that there is none yet.",
    "average": "The average is the sum divided by the number of values; without values we return 0 instead of dividing by zero.", "list": "The results are collected in a list.",
    "ascending": "`sorted` returns a new list in ascending order.",
    "descending": "`sorted` with `reverse=True` puts the largest first.",
    "distinct": "A set keeps each value once, so its length is the number of distinct values.",
    "first": "We can stop at the first hit.", "last": "Each hit replaces the one before, so the last one remains.",
    "longest": "The key `len` compares lengths.", "shortest": "The key `len` compares lengths.",
    "text": "`join` puts strings together; the string before it stands between them.",
    "spread": "The spread is the largest value minus the smallest."}


def _run(code: str) -> str:
    """The output of generated lines."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "<page>", "exec"), {})
    return out.getvalue()


def _section(r: random.Random, topic: str) -> str | None:
    """Return a paragraph, code and its output, or None if the draw is unsuitable."""
    d = Draw(r)
    source = {**NUMBERS, **STRINGS, **CHARACTERS}[topic](d)
    p = sets.predicate(d, source.element) if d.chance(0.8) else None
    m = sets.change(d, source.element) if d.chance(0.5) else None
    if p is None and m is None:
        return None
    element = m.result if m else source.element
    usable = [
        f for f in FOLDS.values() if element in f.takes.split() and f.kind in ENDS and (f.changes or not m)
        and (not f.filtered or p)]
    if source.element == "char" and not m:
        usable = [f for f in usable if "char" in f.takes.split()]
    fold = r.choice(usable)
    composition = f"{source.kind} / {p.kind if p else '-'} / {m.kind if m else '-'} / {fold.kind}"
    family = f"{'filter ' if p else ''}{'map ' if m else ''}fold over {source.kind}"
    if held_out_kind(family, composition):
        return None
    base = sets.set_words(d, source, p)
    what = f"{fold.kind if fold.kind in ('sum', 'product', 'average', 'largest', 'smallest', 'longest', 'shortest', 'first', 'last') else 'list'} of " \
        + (m.plural.replace("$s", base) if m else base)
    lines = [d.one("|".join(OPENINGS)).format(what=f"the {what}").replace(",.", ".").replace(", ?", "?")]
    if p:
        lines.append(d.one("|".join(CONDITIONS)).format(code=p.code(source.variable)))
    if m:
        lines.append(d.one("|".join(CHANGES)).format(code=m.code(source.variable)))
    lines.append(ENDS[fold.kind])
    body = fold.body(
        d, Loop(source, p.code(source.variable) if p else "", m.code(source.variable) if m else source.variable))
    arguments = [(n, rule(r)) for n, _, rule in d.parameters]
    function = d.name("answer|compute|work_out|summary")
    code = f"def {function}({', '.join(n for n, _ in arguments)}):\n" + "".join(
        f"    {line}\n" for line in body.split("\n"))
    call = "".join(
        f"{n} = {v!r}\n" for n, v in arguments) + f"print({function}({', '.join(n for n, _ in arguments)}))\n"
    printed = _run(code + call)
    if len(call) > 300:
        return None
    return f"{' '.join(lines)}\n\n{code}\n{call}\nThis prints:\n\n{printed}"


def pages(r: random.Random, count: int) -> Iterator[tuple[str, str, str]]:
    """Yield topic, audience and text of `count` pages."""
    topics = list(sets.SOURCE_WEIGHTS)
    titles = {
        "numbers": "Lists of numbers", "dict values": "The values of a dictionary", "digits": "The digits of a number",
        "range": "Numbers from 1 to n", "rows": "Rows of numbers",
        "words": "Lists of words", "text words": "The words of a text", "dict keys": "The keys of a dictionary",
        "characters": "The characters of a string"}
    done = 0
    while done < count:
        topic, audience = r.choice(topics), r.choice(list(AUDIENCES))
        sections = [s for s in (_section(r, topic) for _ in range(r.choice([1, 2, 2, 3]))) if s]
        if not sections:
            continue
        advice = r.choice(AUDIENCES[audience])
        yield topic, audience, f"# {titles[topic]}, for {audience}\n\n{advice}\n\n" + "\n".join(sections)
        done += 1
