"""The sources of elements: lists, dictionaries, texts, ranges, digits, rows."""
from __future__ import annotations

import random
from typing import Any

from .draw import Draw, Env
from .parts import Source

WORDS = ("level apple noon banana radar Code python STATS kayak tree Data hello World loop list cat dog refer go UP a "
         "stone river Water light 42 2024 7 night summer winter mouse house Orange lemon eye tomato potato rice bread "
         "milk sugar green blue red silver iron glass paper window door table chair road bus TRAIN plane ship").split()


def integers(r: random.Random, least: int = 0, most: int = 8) -> list[int]:
    """Draw a list with small and negative numbers, zeros and repetitions."""
    return [r.choice([r.randint(-9, 30), r.randint(0, 12)]) for _ in range(r.randint(least, most))]


def words(r: random.Random, least: int = 0, most: int = 7) -> list[str]:
    return [r.choice(WORDS) for _ in range(r.randint(least, most))]


def sentence(r: random.Random) -> str:
    return " ".join(words(r, 0, 6)) + r.choice(["", "", "!", " 3", " 10"])


LIST_NAMES = "numbers|numbers|nums|values|data|items|xs|lst|scores|prices|ages|sizes|points|temperatures|weights|amounts"
NUMBER = "number|number|number|integer|value|element"


def _in(name: str, d: Draw) -> str:
    return d.one(
        f"in {name}|in {name}|of {name}|in the list {name}|in the given list" if name in LIST_NAMES.split("|")
        else f"in {name}")


def list_of_numbers(d: Draw) -> Source:
    name = d.parameter(LIST_NAMES, "list[int]", integers)
    one = d.one(NUMBER)
    return Source(
        "numbers", one + "s", one, _in(name, d), name, "int", lambda env: list(env[name]),
        d.name("n|x|num|number|value|v"), slug="")


def dict_values(d: Draw) -> Source:
    name = d.parameter("prices|stock|scores|ages|counts|table|grades|inventory", "dict[str, int]",
                       lambda r: {w: r.randint(-9, 30) for w in words(r, 0, 6)})
    place = d.one(f"in the dictionary {name}|in {name}|of the dictionary {name}")
    return Source(
        "dict values", "values", "value", place, f"{name}.values()", "int",
        lambda env: [env[name][k] for k in env[name]],
        d.name("value|v|n|x|amount"), slug="dict_values")


def digits(d: Draw) -> Source:
    name = d.parameter("n|number|num", "int", lambda r: r.choice([r.randint(0, 99), r.randint(100, 99999)]))

    def elements(env: Env) -> list[int]:
        out, rest = [env[name] % 10], env[name] // 10
        while rest:
            out.insert(0, rest % 10)
            rest //= 10
        return out
    return Source(
        "digits", "digits", "digit", d.one(f"of {name}|in {name}|of the number {name}"), f"map(int, str({name}))",
        "int",
        elements, d.name("digit|d|x"), slug="digits")


def one_to_n(d: Draw) -> Source:
    name = d.parameter("n|limit|number|top|end", "int", lambda r: r.randint(0, 15))
    one = d.one("number|number|integer")
    return Source(
        "range", one + "s", one, d.one(f"from 1 to {name}|from 1 up to {name}"), f"range(1, {name} + 1)", "int",
        lambda env: [i + 1 for i in range(env[name])],
        d.name("i|x|k|number"), slug="up_to_n")


def rows(d: Draw) -> Source:
    name = d.parameter(
        "matrix|grid|rows|table", "list[list[int]]", lambda r: [integers(r, 0, 4) for _ in range(r.randint(0, 4))])
    one = d.one("number|value|element")
    return Source("rows", one + "s", one, d.one(f"in {name}|in the rows of {name}|in all rows of {name}"), "row", "int",
                  lambda env: sum(env[name], []), d.name("x|n|value|cell"), nested=name, slug="matrix")


def list_of_words(d: Draw) -> Source:
    name = d.parameter("words|words|names|strings|tokens|labels|items|texts", "list[str]", words)
    one = d.one("word|word|string") if name != "names" else d.one("name|string")
    return Source("words", one + "s", one, d.one(f"in {name}|in {name}|of {name}|in the list {name}"), name, "str",
                  lambda env: list(env[name]), d.name("word|w|s|item"), slug="")


def words_of_text(d: Draw) -> Source:
    name = d.parameter("text|sentence|line|phrase", "str", sentence)
    return Source(
        "text words", "words", "word", d.one(f"in {name}|of {name}|in the text {name}"), f"{name}.split()", "str",
        lambda env: [w for w in env[name].split(" ") if w], d.name("word|w|part"), slug="text_words")


def dict_keys(d: Draw) -> Source:
    name = d.parameter(
        "prices|stock|scores|ages|table|inventory", "dict[str, int]",
        lambda r: {w: r.randint(0, 9) for w in words(r, 0, 7)})
    return Source(
        "dict keys", "keys", "key", d.one(f"in the dictionary {name}|in {name}|of the dictionary {name}"), name, "str",
        lambda env: list(env[name].keys()), d.name("key|name|k"), slug="keys")


def characters(d: Draw) -> Source:
    name = d.parameter("text|text|s|string|word|line|sentence", "str", sentence)
    one = "character"
    return Source(
        "characters", one + "s", one, d.one(f"in {name}|in {name}|of {name}|in the string {name}"), name, "char",
        lambda env: list(env[name]), d.name("c|ch|char|letter"), slug="chars")


def _window(kind: str, words_: str, code: str, meaning: Any, slug: str):
    """Return a function that narrows a list or text source to a part of it."""
    def narrow(d: Draw, source: Source) -> Source:
        k = d.integer(2, 5, "count|size|m", 0.2) if "$k" in words_ else None
        t = k.text if k else ""
        noun = words_.replace("$k", t).replace("$s", source.noun)
        single = words_.replace("$k", t).replace("$s", source.noun)
        return Source(
            f"{kind} of {source.kind}", noun, f"one of the {single}", source.place,
            code.replace("xs", source.iterable).replace("$k", k.code if k else ""),
            source.element, lambda env: meaning(source.elements(env), k.value(env) if k else 0),
            source.variable, slug=f"{slug}_{source.slug}".rstrip("_"))
    return narrow


WINDOWS = {
    "first": _window("first", "first $k $s", "xs[:$k]", lambda v, k: [x for i, x in enumerate(v) if i < k], "first"),
    "last": _window("last", "last $k $s", "xs[-$k:]", lambda v, k: v if len(v) <= k else v[len(v) - k:], "last"),
    "after": _window(
        "after", "$s after the first $k", "xs[$k:]", lambda v, k: [x for i, x in enumerate(v) if i >= k], "later"),
    "even places": _window(
        "even places", "$s at even indices", "xs[::2]", lambda v, k: [x for i, x in enumerate(v) if i % 2 == 0],
        "even_places"),
    "odd places": _window(
        "odd places", "$s at odd indices", "xs[1::2]", lambda v, k: [x for i, x in enumerate(v) if i % 2 == 1],
        "odd_places"),
}

NUMBERS = {"numbers": list_of_numbers, "dict values": dict_values, "digits": digits, "range": one_to_n, "rows": rows}
STRINGS = {"words": list_of_words, "text words": words_of_text, "dict keys": dict_keys}
CHARACTERS = {"characters": characters}
