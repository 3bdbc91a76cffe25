"""Families over single values: steps, cases, arithmetic of two arguments, pairs of lists, search."""
from __future__ import annotations

from typing import Any

from . import parts_numbers as numbers
from .draw import Draw, Env
from .exercise import Exercise
from .families_sets import MAPS, predicate, slugs
from .finish import finish
from .parts import VERBS, atom
from .sources import WORDS, integers
from .sources import sentence as draw_sentence


def _number(d: Draw) -> str:
    return d.parameter("n|x|number|value|num", "int", lambda r: r.randint(-20, 40))


def _word(d: Draw) -> str:
    return d.parameter("text|s|word|string|name", "str", lambda r: r.choice([r.choice(WORDS), draw_sentence(r)]))


def steps(d: Draw) -> Exercise | None:
    """Two or three changes of a number or a text, one after the other."""
    element = d.one("int|int|str")
    x = _number(d) if element == "int" else _word(d)
    kinds = [k for k in MAPS[element] if k in VERBS]
    chosen = [MAPS[element][kind](d) for kind in d.r.sample(kinds, d.r.choice([2, 2, 3]))]
    words = [m.verb for m in chosen]
    start = d.one(f"Take {x}, {words[0]}|Start with {x}, {words[0]}|With {x}: {words[0]}")
    middle = "".join(f", then {w}" for w in words[1:])
    sentence = f"{start}{middle}. Return the result." if d.chance(0.5) else f"{start}{middle}, and return the result."
    if d.chance(0.5):
        code = x
        for m in chosen:
            code = m.code(code if code == x else atom(code))
        body = f"return {code}"
    else:
        t = d.name("result|y|value|out")
        lines = [f"{t} = {chosen[0].code(x)}"] + [f"{t} = {m.code(t)}" for m in chosen[1:]]
        body = "\n".join([*lines, f"return {t}"]) if d.chance(0.7) else "\n".join(
            [*lines[:-1], f"return {chosen[-1].code(t)}"])

    def meaning(env: Env) -> Any:
        v = env[x]
        for m in chosen:
            v = m.meaning(v, env)
        return v
    return finish(
        d, f"{len(chosen)} steps of {element}", f"{element} / " + " / ".join(m.kind for m in chosen),
        slugs(d, *(m.kind.replace(" ", "_") for m in chosen)), element, sentence, body, meaning)


def cases(d: Draw) -> Exercise | None:
    """One result if a property holds, otherwise another."""
    element = d.one("int|int|str")
    x = _number(d) if element == "int" else _word(d)
    p = predicate(d, element)
    if d.chance(0.4):
        labels = d.r.sample(
            ("yes no high low big small good bad near far hot cold open closed left right pass fail "
             "even_one other").split(), 2)
        then, other, t_code, o_code = repr(labels[0]), repr(labels[1]), repr(labels[0]), repr(labels[1])
        kind, returned = "labels", "str"
        m1 = m2 = None
    else:
        kinds = list(MAPS[element])
        k1, k2 = d.r.sample(kinds, 2)
        m1, m2 = MAPS[element][k1](d), MAPS[element][k2](d)
        if m1.result != m2.result:
            return None
        then, other, t_code, o_code = m1.singular.replace("$s", x), m2.singular.replace("$s", x), m1.code(x), m2.code(x)
        kind, returned, labels = f"{m1.kind} / {m2.kind}", m1.result, []
    sentence = d.one(
        f"Return {then} if {x} {p.singular}, and {other} otherwise.|If {x} {p.singular}, return {then}. Otherwise return {other}.|Return {then} if {x} {p.singular}, otherwise return {other}.")
    sentence = sentence.replace(",,", ",").replace(",.", ".").replace(", if", " if")
    c = p.code(x)
    body = d.r.choice(
        [
            f"if {c}:\n    return {t_code}\nreturn {o_code}",
            f"if {c}:\n    return {t_code}\nelse:\n    return {o_code}", f"return {t_code} if {c} else {o_code}"])

    def meaning(env: Env) -> Any:
        v = env[x]
        if m1 is None or m2 is None:
            return labels[0] if p.meaning(v, env) else labels[1]
        return m1.meaning(v, env) if p.meaning(v, env) else m2.meaning(v, env)
    return finish(
        d, f"cases of {element}" + (" with labels" if m1 is None else ""), f"{element} / {p.kind} / {kind}",
        slugs(d, d.one("choose|classify|pick|decide"), p.slug), returned, sentence, body, meaning)


OPERATIONS = [
    ("plus", "the sum of $a and $b", "$a + $b", lambda a, b: b + a),
    ("minus", "the difference of $a and $b", "$a - $b", lambda a, b: -(b - a)),
    ("times", "the product of $a and $b", "$a * $b", lambda a, b: b * a),
    ("max", "the larger of $a and $b", "max($a, $b)", lambda a, b: sorted([a, b])[1]),
    ("min", "the smaller of $a and $b", "min($a, $b)", lambda a, b: sorted([a, b])[0])]


def _operand(d: Draw, x: str) -> tuple[str, str, Any, str]:
    """Draw a parameter, possibly changed: words, code, meaning, kind."""
    if d.chance(0.5):
        return x, x, lambda env: env[x], "-"
    m = numbers.MAPS[d.one("square|cube|double|triple|negation|absolute|digit")](d)
    return m.singular.replace("$s", x), m.code(x), lambda env: m.meaning(env[x], env), m.kind


def arithmetic(d: Draw) -> Exercise | None:
    """An operation on two arguments, each possibly changed, and possibly a further change."""
    a, b = (
        d.parameter("a|b|c|x|y|m|n|first|second|width|height|left|right", "int", lambda r: r.randint(-9, 20))
        for _ in range(2))
    (w1, c1, f1, k1), (w2, c2, f2, k2) = _operand(d, a), _operand(d, b)
    kind, words, code, meaning = d.r.choice(OPERATIONS)
    all_words, all_code = words.replace("$a", w1).replace("$b", w2), code.replace(
        "$a", atom(c1) if kind == "times" and k1 == "negation" else c1).replace("$b",
        atom(c2) if c2.startswith("-") or (kind == "times" and "%" in c2) else c2)
    composition = f"{k1} {kind} {k2}"
    value = lambda env: meaning(f1(env), f2(env))  # noqa: E731
    if d.chance(0.5):
        m = numbers.MAPS[d.one("square|double|triple|negation|absolute|plus|minus|times|remainder|half")](d)
        all_words, all_code = m.singular.replace("$s", all_words), m.code(all_code)
        inner = value
        value = lambda env: m.meaning(inner(env), env)  # noqa: E731
        composition += f" / {m.kind}"
    sentence = f"{d.one('Return|Compute|Calculate')} {all_words}.".replace(",.", ".").replace(",,", ",")
    return finish(
        d, "arithmetic" + (" and a step" if " / " in composition else ""), composition,
        slugs(d, *[k for k in (kind, k1, k2) if k != "-"]), "int", sentence, f"return {all_code}", value)


def pairs(d: Draw) -> Exercise | None:
    """Two lists, position by position."""
    a, b = (
        d.parameter("a|b|xs|ys|left|right|first|second|prices|amounts", "list[int]", lambda r: integers(r, 3, 5))
        for _ in range(2))
    x, y = d.name("x|p|u"), d.name("y|q|v")
    kind, words, code, meaning = d.r.choice(OPERATIONS)
    head = f"for {x}, {y} in zip({a}, {b})"
    element = code.replace("$a", x).replace("$b", y)
    what = {"plus": "sums", "minus": "differences", "times": "products", "max": "larger ones", "min": "smaller ones"}[
        kind]
    end = d.one("list|sum|largest|count|ascending")
    of = f"the {what} of the pairs of numbers at the same positions in {a} and {b}"
    p = predicate(d, "int") if end == "count" else None
    if p:
        sentence = f"Count the positions at which {words.replace('$a', f'the number in {a}').replace('$b', f'the number in {b}')} {p.singular}."
        body = f"return sum(1 {head} if {p.code(atom(element))})"
    else:
        sentence = {
            "list": f"Return a list of {of}.", "sum": f"Return the sum of {of}.",
            "largest": f"Return the largest of {of}.", "ascending": f"Return {of} in ascending order."}[end]
        body = {
            "list": f"return [{element} {head}]", "sum": f"return sum({element} {head})",
            "largest": f"return max({element} {head})", "ascending": f"return sorted({element} {head})"}[end]
    returned = "list[int]" if end in ("list", "ascending") else "int"

    def value(env: Env) -> Any:
        v = [meaning(env[a][i], env[b][i]) for i in range(min(len(env[a]), len(env[b])))]
        return sum(bool(p.meaning(w, env)) for w in v) if p else {
            "list": v, "sum": sum(v), "largest": sorted(v)[-1], "ascending": sorted(v)}[end]
    return finish(
        d, f"pairs to {end}", f"pairs / {kind} / {p.kind if p else '-'} / {end}",
        slugs(d, end, "pair", what.replace(" ", "_")), returned, sentence, body, value)


def search(d: Draw) -> Exercise | None:
    """The smallest or largest integer above or below a bound with a property."""
    n = d.parameter("n|start|limit|number", "int", lambda r: r.randint(1, 40))
    p = predicate(d, "int")
    x = d.name("x|k|i|candidate")
    if p.kind.split()[-1] not in ("even", "odd", "multiple", "in"):
        return None
    up = d.chance(0.5)
    word = "smallest" if up else "largest"
    edge = d.one("not less than|greater than") if up else d.one("not greater than|less than")
    step, first = ("+", n if "not" in edge else f"{n} + 1") if up else ("-", n if "not" in edge else f"{n} - 1")
    sentence = f"Return the {word} integer {edge} {n} that {p.singular}."
    condition = p.code(x)
    body = f"{x} = {first}\nwhile not ({condition}):\n    {x} {step}= 1\nreturn {x}"

    def meaning(env: Env) -> Any:
        start = env[n] + (0 if "not" in edge else 1 if up else -1)
        for i in range(2000):
            v = start + (i if up else -i)
            if p.meaning(v, env):
                return v
        return float("nan")
    try_first = p.meaning  # a property without a solution would make the loop endless
    for probe in (1, 20, 40):
        env = {name: rule(d.r) for name, _, rule in d.parameters} | {n: probe}
        if not any(try_first(probe + (i if up else -i), env) for i in range(-1, 500)):
            return None
    if any(name != n for name, _, _ in d.parameters):
        return None
    return finish(
        d, f"search for the {word}", f"{p.kind} / {word} {edge}", slugs(d, word, p.slug), "int", sentence, body,
        meaning)
