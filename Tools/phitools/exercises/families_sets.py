"""Families over sets: filter the elements of a source, map them, fold them."""
from __future__ import annotations

from typing import Any

from . import parts_numbers as numbers
from . import parts_text as text
from .draw import Draw, Env
from .exercise import Exercise
from .finish import finish
from .folds import FOLDS, Fold, Loop
from .parts import Map, Predicate, Source, atom
from .sources import CHARACTERS, NUMBERS, STRINGS, WINDOWS

PREDICATES = {"int": numbers.PREDICATES, "str": text.WORD_PREDICATES, "char": text.CHARACTER_PREDICATES}
MAPS = {"int": numbers.MAPS, "str": text.WORD_MAPS, "char": text.CHARACTER_MAPS}
ATTRIBUTES = {
    "int": {
        "square": "square", "digit": "last digit", "absolute": "absolute value", "double": "double", "cube": "cube"},
    "str": {"length": "length"}}
ATTRIBUTE_PREDICATES = ["even", "odd", "multiple", "not multiple", "ends in", "greater", "less", "between"]
SOURCES = {**NUMBERS, **STRINGS, **CHARACTERS}
SOURCE_WEIGHTS = {
    "numbers": 5, "dict values": 2, "digits": 2, "range": 2, "rows": 2, "words": 4, "text words": 2, "dict keys": 1,
    "characters": 4}


def any_source(d: Draw, windows: float = 0.12) -> Source:
    """Draw a source, sometimes narrowed to a part of it."""
    kind = d.r.choices(list(SOURCE_WEIGHTS), list(SOURCE_WEIGHTS.values()))[0]
    source = SOURCES[kind](d)
    if kind in ("numbers", "words", "characters", "text words") and d.chance(windows):
        source = d.r.choice(list(WINDOWS.values()))(d, source)
    return source


def predicate(d: Draw, element: str) -> Predicate:
    """Draw a property of elements of this type, sometimes of an attribute ("whose length is even")."""
    if element in ATTRIBUTES and d.chance(0.15):
        attribute = d.r.choice(list(ATTRIBUTES[element]))
        m = MAPS[element][attribute](d)
        p = PREDICATES[m.result][d.r.choice(ATTRIBUTE_PREDICATES[: 4 if attribute == "length" else None])](d)
        noun = ATTRIBUTES[element][attribute]
        return Predicate(
            f"{attribute} {p.kind}", f"has a {noun} that {p.singular}".replace("a absolute", "an absolute"),
            f"have a {noun} that {p.singular}".replace("a absolute", "an absolute"), "",
            lambda x: p.code(atom(m.code(x))),
            lambda v, env: p.meaning(m.meaning(v, env), env), f"{p.slug}_{attribute}")
    return d.r.choice(list(PREDICATES[element].values()))(d)


def change(d: Draw, element: str) -> Map:
    return d.r.choice(list(MAPS[element].values()))(d)


def set_words(d: Draw, source: Source, p: Predicate | None) -> str:
    """Describe a set: "the even numbers in xs", "the words in text that start with 'a'"."""
    if p is None:
        return d.one(
            f"the {source.noun} {source.place}|all {source.noun} {source.place}") if " of " not in source.kind else f"the {source.noun} {source.place}"
    if p.adjective and " of " not in source.kind and d.chance(0.75):
        return f"the {p.adjective} {source.noun} {source.place}"
    those = "those of the" if " of " in source.kind else "the"
    return f"{those} {source.noun} {source.place} that {p.plural}"


def two(d: Draw, element: str) -> tuple[Predicate, str]:
    """Draw two properties joined by "and" or "or"."""
    first, second = predicate(d, element), predicate(d, element)
    while first.kind.removeprefix("not ") == second.kind.removeprefix("not "):
        second = predicate(d, element)
    word = d.one("and|or")

    def code(x: str) -> str:
        return f"{first.code(x)} {word} {second.code(x)}"

    def meaning(v: Any, env: Env) -> bool:
        a, b = first.meaning(v, env), second.meaning(v, env)
        return bool(a * b) if word == "and" else bool(a + b)
    joined = Predicate(
        f"{first.kind} {word} {second.kind}", f"{first.singular} {word} {second.singular}",
        f"{first.plural} {word} {second.plural}",
        "", code, meaning, f"{first.slug}_{word}_{second.slug}")
    return joined, word


def loop_of(source: Source, p: Predicate | None, m: Map | None) -> Loop:
    return Loop(source, p.code(source.variable) if p else "", m.code(source.variable) if m else source.variable)


def chosen(source: Source, p: Predicate | None, m: Map | None, env: Env) -> list[Any]:
    """Compute a loop's elements for the reference."""
    elements = [v for v in source.elements(env) if p is None or p.meaning(v, env)]
    return [m.meaning(v, env) for v in elements] if m else elements


def slugs(d: Draw, *parts: str) -> str:
    """Draw a function name from some of the parts."""
    kept = [p for i, p in enumerate(parts) if p and (i == 0 or d.chance(0.75))]
    return "_".join(kept)


def fold_family(d: Draw, filters: int, mapped: bool) -> Exercise | None:
    """A fold over elements with `filters` properties (0 to 2), possibly mapped."""
    source = any_source(d)
    p = None if filters == 0 else predicate(d, source.element) if filters == 1 else two(d, source.element)[0]
    m = change(d, source.element) if mapped else None
    element = m.result if m else source.element
    folds: list[Fold] = [
        f for f in FOLDS.values() if element in f.takes.split()
        or (element == "str" and source.element == "char" and "char" in f.takes.split())]
    folds = [f for f in folds if (f.changes or not mapped) and (not f.filtered or filters)]
    if source.element == "char" and not mapped:
        folds = [f for f in folds if "char" in f.takes.split()]
    if not filters and not mapped:
        folds = [f for f in folds if f.kind not in ("list", "count", "text")]
    fold = d.r.choice(folds)
    base = set_words(d, source, p)
    s = m.plural.replace("$s", base) if m else base
    bare = (base[4:] if base.startswith("the ") else base[4:] if base.startswith("all ") else base).replace(
        "those of", "of")
    words = d.one(fold.words)
    sentence = words.replace("$s", s).replace("$n", bare).replace(",,", ",").replace(",.", ".")
    sentence = f"{sentence} {fold.note}".strip()
    returned = fold.returns.replace("$e", "int" if element == "int" else "str")
    family = f"{'filter ' * filters}{'map ' if mapped else ''}fold over {source.kind.split(' of ')[-1]}"
    composition = f"{source.kind} / {p.kind if p else '-'} / {m.kind if m else '-'} / {fold.kind}"
    return finish(
        d, family, composition, slugs(d, fold.slug, p.slug if p else "", m.slug if m else "", source.slug), returned,
        sentence,
        fold.body(d, loop_of(source, p, m)), lambda env: fold.meaning(chosen(source, p, m, env)))


def quantifier(d: Draw) -> Exercise | None:
    """Whether any, all or none of the elements have a property."""
    source = any_source(d)
    p = predicate(d, source.element) if d.chance(0.6) else two(d, source.element)[0]
    kind = d.one("any|all|none")
    x = source.variable
    words = {
        "any": f"Check if any of the $s {source.place} {p.singular}.|Return True if at least one of the $s {source.place} {p.singular}.",
        "all": f"Check if all $s {source.place} {p.plural}.|Return True if every one of the $s {source.place} {p.singular}.",
        "none": f"Check if none of the $s {source.place} {p.singular}.|Return True if no $o {source.place} {p.singular}."}[kind]
    if " of " in source.kind:
        words = words.split("|")[0].replace("all $s", "all of the $s")
    sentence = d.one(words).replace("$s", source.noun).replace("$o", source.one)
    condition = p.code(x)
    negated = f"not ({condition})" if " and " in condition or " or " in condition else f"not {condition}" if condition.startswith(("x.",)) else f"not ({condition})"
    head = f"for row in {source.nested} for {x} in row" if source.nested else f"for {x} in {source.iterable}"
    if d.chance(0.5):
        body = {
            "any": f"return any({condition} {head})", "all": f"return all({condition} {head})",
            "none": f"return not any({condition} {head})"}[kind]
    else:
        early = negated if kind == "all" else condition
        body = Loop(source, early, x).statement([], [f"return {kind == 'any'}"], [f"return {kind != 'any'}"])
    def meaning(env: Env) -> bool:
        hits = sum(p.meaning(v, env) for v in source.elements(env))
        return {"any": hits > 0, "all": hits == len(source.elements(env)), "none": hits == 0}[kind]
    return finish(
        d, f"{kind} over {source.kind.split(' of ')[-1]}", f"{source.kind} / {p.kind} / {kind}",
        slugs(d, kind, p.slug, source.slug), "bool", sentence, body, meaning)


def position(d: Draw) -> Exercise | None:
    """The first, last or every index of an element with a property."""
    source = SOURCES[d.one("numbers|words|characters")](d)
    p = predicate(d, source.element) if d.chance(0.7) else two(d, source.element)[0]
    kind = d.one("first|last|every")
    d.taken.add("i")
    if source.variable == "i":
        return None
    that = f"{source.one} {source.place} that {p.singular}"
    loop = Loop(source, p.code(source.variable), source.variable)
    if kind == "every":
        t = d.name("result|out|indices")
        sentence = d.one("Return the indices of the $s.|Return a list of the indices of the $s.").replace(
            "$s", f"{source.noun} {source.place} that {p.plural}")
        body = loop.statement([f"{t} = []"], [f"{t}.append(i)"], [f"return {t}"], True) if d.chance(0.5) else \
            f"return [i for i, {source.variable} in enumerate({source.iterable}) if {loop.condition}]"
        returned = "list[int]"
    else:
        sentence, returned = f"Return the index of the {kind} {that}. Return -1 if there is none.", "int"
        if kind == "first":
            body = loop.statement([], ["return i"], ["return -1"], True)
        else:
            t = d.name("result|found|index")
            body = loop.statement([f"{t} = -1"], [f"{t} = i"], [f"return {t}"], True)

    def meaning(env: Env) -> Any:
        hits = [i for i, v in enumerate(source.elements(env)) if p.meaning(v, env)]
        return hits if kind == "every" else (hits or [-1])[0 if kind == "first" else -1]
    return finish(
        d, f"{kind} index in {source.kind}", f"{source.kind} / {p.kind} / {kind} index",
        slugs(d, f"{kind}_index" if kind != "every" else "indices", p.slug), returned, sentence, body, meaning)


def conditional(d: Draw) -> Exercise | None:
    """A list with elements changed in one way if they have a property, else in another way or not at all."""
    source = any_source(d, 0)
    p = predicate(d, source.element)
    element = source.element
    maps = [m for m in MAPS[element] if MAPS[element][m]]
    m1, m2 = (MAPS[element][d.r.choice(maps)](d) for _ in range(2))
    if m1.kind == m2.kind or m1.result != ("int" if element == "int" else "str") or m2.result != m1.result:
        return None
    keep = d.chance(0.5)
    x = source.variable
    one = source.one
    then, other = m1.singular.replace("$s", f"that {one}"), m2.singular.replace("$s", f"that {one}")
    start = d.one(f"Return a list with, for each {one} {source.place},|For each {one} {source.place}, return")
    if keep:
        sentence = d.one(
            f"{start} {then} if it {p.singular}, and the {one} itself otherwise.|Replace each {one} {source.place} that {p.singular} by {then} and keep the others. Return the list.")
    else:
        sentence = f"{start} {then} if it {p.singular}, and {other} otherwise."
    sentence = sentence.replace(",,", ",").replace(", if", " if")
    alternative = x if keep else m2.code(x)
    if d.chance(0.5):
        head = f"for row in {source.nested} for {x} in row" if source.nested else f"for {x} in {source.iterable}"
        body = f"return [{m1.code(x)} if {p.code(x)} else {alternative} {head}]"
    else:
        t = d.name("result|out|changed")
        body = Loop(source, "", x).statement(
            [f"{t} = []"],
            [f"if {p.code(x)}:", f"    {t}.append({m1.code(x)})", "else:", f"    {t}.append({alternative})"],
            [f"return {t}"])

    def meaning(env: Env) -> Any:
        return [
            m1.meaning(v, env) if p.meaning(v, env) else v if keep else m2.meaning(v, env)
            for v in source.elements(env)]
    return finish(
        d, f"conditional map over {source.kind}",
        f"{source.kind} / {p.kind} / {m1.kind} / {'keep' if keep else m2.kind}",
        slugs(d, d.one("replace|change|transform"), p.slug, m1.slug),
        f"list[{m1.result}]", sentence, body, meaning)


def table(d: Draw) -> Exercise | None:
    """A dictionary from elements to changed elements or to their counts."""
    source = any_source(d, 0)
    p = predicate(d, source.element) if d.chance(0.6) else None
    x = source.variable
    t = d.name("result|table|counts|out")
    base = set_words(d, source, p)
    e = "int" if source.element == "int" else "str"
    if d.chance(0.5):
        sentence = d.one(
            "Return a dictionary with the number of times each of $s occurs.|Count how often each of $s occurs and return a dictionary.").replace("$s", base)
        body = Loop(source, p.code(x) if p else "", x).statement(
            [f"{t} = {{}}"], [f"{t}[{x}] = {t}.get({x}, 0) + 1"], [f"return {t}"])
        kind, returned, m = "counts", f"dict[{e}, int]", None
    else:
        m = change(d, source.element)
        sentence = d.one(
            "Return a dictionary that maps each of $s to $m.|Map each of $s to $m. Return a dictionary.").replace("$s",
            base).replace("$m", m.singular.replace("$s", "it")).replace(",.", ".").replace(", .", ".")
        body = f"return {{{x}: {loop_of(source, p, m).generator()}}}" if d.chance(0.6) else \
            Loop(source, p.code(x) if p else "", x).statement(
                [f"{t} = {{}}"], [f"{t}[{x}] = {m.code(x)}"], [f"return {t}"])
        kind, returned = f"to {m.kind}", f"dict[{e}, {m.result}]"

    def meaning(env: Env) -> Any:
        elements = chosen(source, p, None, env)
        return {v: elements.count(v) for v in elements} if m is None else {v: m.meaning(v, env) for v in elements}
    return finish(
        d, f"dictionary of {source.kind}", f"{source.kind} / {p.kind if p else '-'} / {kind}",
        slugs(
            d, d.one("count|table|map") if m is None else d.one("map|table|build"), p.slug if p else "",
            m.slug if m else "occurrences"),
        returned, sentence, body, meaning)


def two_folds(d: Draw) -> Exercise | None:
    """Two folds of one source, combined by an arithmetic operation or a comparison."""
    source = any_source(d, 0)
    sides = []
    for _ in range(2):
        kind = d.one("sum|count|count") if source.element == "int" else "count"
        sides.append((FOLDS[kind], predicate(d, source.element)))
    (f1, p1), (f2, p2) = sides
    if p1.kind == p2.kind:
        return None
    g1, g2 = (
        [
            f"return sum({loop_of(source, p, None).generator()})" if f.kind == "sum"
            else f"return sum(1 {loop_of(source, p, None).generator().removeprefix(source.variable + ' ')})"][0][7:]
        for f, p in sides)
    w1, w2 = (f"the {'sum' if f.kind == 'sum' else 'number'} of {set_words(d, source, p)}" for f, p in sides)
    n1, n2 = (d.name("first|a|left"), d.name("second|b|right"))
    kind = d.one("difference|plus|times|more|same")
    sentence = {
        "difference": f"Return {w1} minus {w2}.", "plus": f"Return {w1} plus {w2}.",
        "times": f"Return {w1} times {w2}.",
        "more": f"Check if {w1} is greater than {w2}.", "same": f"Check if {w1} is equal to {w2}."}[kind]
    operator = {"difference": "-", "plus": "+", "times": "*", "more": ">", "same": "=="}[kind]
    body = f"{n1} = {g1}\n{n2} = {g2}\nreturn {n1} {operator} {n2}"

    def meaning(env: Env) -> Any:
        a, b = f1.meaning(chosen(source, p1, None, env)), f2.meaning(chosen(source, p2, None, env))
        return {"difference": a - b, "plus": b + a, "times": b * a, "more": b < a, "same": not a != b}[kind]
    return finish(
        d, f"two folds of {source.kind}", f"{source.kind} / {f1.kind} {p1.kind} / {kind} / {f2.kind} {p2.kind}",
        slugs(d, d.one("compare|combine|balance"), p1.slug, p2.slug), "bool" if kind in ("more", "same") else "int",
        sentence, body, meaning)
