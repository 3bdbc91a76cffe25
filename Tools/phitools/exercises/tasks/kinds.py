"""The kinds of parameters: annotation, usual names, nouns, and how an argument is drawn."""
from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..sources import WORDS

Rule = Callable[[random.Random], Any]
PLAIN = [w for w in WORDS if w.isalpha()]


@dataclass(frozen=True)
class Kind:
    """A kind of parameter; `names` and `nouns` are alternatives separated by `|`, the first ones the usual ones."""

    annotation: str
    names: str
    nouns: str
    draw: Rule


def _list(rule: Rule, least: int, most: int = 6) -> Rule:
    return lambda r: [rule(r) for _ in range(r.randint(least, most))]


def _small(r: random.Random) -> int:
    return r.choice([r.randint(-9, 20), r.randint(0, 9), r.randint(1, 12)])


def _half(r: random.Random) -> float:
    return r.choice([r.randint(0, 60) / 2, float(r.randint(0, 20))])


def _word(r: random.Random) -> str:
    return r.choice(PLAIN)


def _lower(r: random.Random) -> str:
    return r.choice(PLAIN).lower()


def _text(r: random.Random) -> str:
    words = " ".join(r.choice(WORDS) for _ in range(r.randint(1, 5)))
    return r.choice([words, words, words.capitalize() + r.choice(["", "!", ".", "?"]), _word(r), ""])


def _rows(r: random.Random) -> list[list[int]]:
    width = r.randint(1, 3)
    return [[_small(r) for _ in range(width)] for _ in range(r.randint(1, 3))]


def _square(r: random.Random) -> list[list[int]]:
    n = r.randint(1, 3)
    return [[_small(r) for _ in range(n)] for _ in range(n)]


def _date(r: random.Random) -> str:
    return f"{r.randint(1990, 2030)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}"


def _table(rule: Rule, least: int = 0) -> Rule:
    return lambda r: {_lower(r): rule(r) for _ in range(r.randint(least, 4))}


def _nested(r: random.Random) -> list[Any]:
    return [[_small(r), [_small(r)]] if r.random() < 0.4 else _small(r) for _ in range(r.randint(1, 4))]


NUMBERS, STRINGS = "numbers|nums|lst|values|arr|l|xs|list1|data", "words|strings|items|lst|names|texts"
STRING, NUMBER = "text|s|string|sentence|word|st|txt|str1", "n|number|num|x|value"
LIST = "list of numbers|list of integers|list|list of ints|array|list of numbers"
KINDS = {
    "text": Kind("str", STRING, "string|string|text", _text),
    "sentence": Kind("str", "sentence|text|s|line|phrase|string", "sentence|string|text",
                     lambda r: " ".join(r.choice(WORDS) for _ in range(r.randint(1, 6)))),
    "word": Kind("str", "word|s|string|text|name", "word|string|string", _word),
    "lower": Kind("str", "word|s|string|text", "word|string|string", _lower),
    "name": Kind("str", "name|person|user|first_name", "name", lambda r: r.choice(["Anna", "Ben", "Cleo", "Dan", "Eva"])),
    "char": Kind("str", "char|c|letter|ch|character", "character|letter", lambda r: r.choice("abcdeilnorst")),
    "words": Kind("list[str]", STRINGS, "list of strings|list of words|list of strings|list", _list(_word, 0)),
    "words1": Kind("list[str]", STRINGS, "list of strings|list of words|list of strings|list", _list(_word, 1)),
    "nums": Kind("list[int]", NUMBERS, LIST, _list(_small, 0)),
    "nums1": Kind("list[int]", NUMBERS, LIST, _list(_small, 1)),
    "nums2": Kind("list[int]", NUMBERS, LIST, _list(_small, 3)),
    "distinct": Kind("list[int]", NUMBERS, LIST, lambda r: r.sample(range(-9, 30), r.randint(3, 7))),
    "few": Kind("list[int]", "items|lst|elements", "list", lambda r: r.sample(range(1, 10), r.randint(1, 3))),
    "sorted": Kind("list[int]", NUMBERS, "sorted list|sorted list of numbers|sorted array",
                   lambda r: sorted(r.sample(range(-9, 30), r.randint(1, 7)))),
    "pos": Kind("list[int]", NUMBERS, LIST, _list(lambda r: r.randint(1, 20), 1)),
    "digits": Kind("list[int]", "digits|numbers|lst", "list of digits", _list(lambda r: r.randint(1, 9), 1, 5)),
    "bits": Kind("list[int]", "bits|values|lst", "list of bits", _list(lambda r: r.randint(0, 1), 1)),
    "floats": Kind("list[float]", "numbers|values|nums|prices|data", "list of numbers|list of floats|list", _list(_half, 1)),
    "bools": Kind("list[bool]", "flags|values|lst", "list of booleans|list", _list(lambda r: r.random() < 0.6, 0)),
    "items": Kind("list", "items|lst|elements|values|l|list1|arr", "list|list|list of items|array",
                  lambda r: [r.choice([_lower(r), r.randint(0, 5)]) for _ in range(r.randint(0, 6))]),
    "items1": Kind("list", "items|lst|elements|values|l|list1|arr", "list|list|list of items|array",
                   lambda r: [r.choice([_lower(r), r.randint(0, 5)]) for _ in range(r.randint(1, 6))]),
    "tup": Kind("tuple", "tup|t|values|test_tup|items", "tuple|tuple of numbers", lambda r: tuple(_small(r) for _ in range(r.randint(1, 5)))),
    "pairs": Kind("list[tuple[int, int]]", "pairs|tuples|points|lst|test_list", "list of tuples|list of pairs",
                  _list(lambda r: (_small(r), _small(r)), 1, 4)),
    "scores": Kind("list[tuple[str, int]]", "scores|pairs|records|students|items", "list of tuples|list of pairs of name and number",
                   _list(lambda r: (_lower(r), r.randint(0, 20)), 1, 4)),
    "records": Kind("list[dict]", "records|people|users|rows|items", "list of dictionaries",
                    _list(lambda r: {"name": r.choice(["Anna", "Ben", "Cleo", "Dan"]), "age": r.randint(5, 60)}, 0, 4)),
    "numset": Kind("set[int]", "s|values|items|set1|numbers", "set|set of numbers", lambda r: {r.randint(0, 9) for _ in range(r.randint(0, 5))}),
    "mapping": Kind("dict[str, int]", "d|scores|prices|counts|data|dictionary|my_dict|test_dict", "dictionary|dict", _table(_small)),
    "mapping1": Kind("dict[str, int]", "d|scores|prices|counts|data|dictionary|my_dict|test_dict", "dictionary|dict", _table(_small, 1)),
    "lists": Kind("dict[str, list[int]]", "d|groups|data|table", "dictionary of lists|dictionary", _table(_list(_small, 1, 3), 1)),
    "matrix": Kind("list[list[int]]", "matrix|grid|rows|m|mat", "matrix|grid|list of lists|2D list|matrix", _rows),
    "square": Kind("list[list[int]]", "matrix|grid|m|mat", "square matrix|matrix", _square),
    "rows": Kind("list[list[int]]", "lists|rows|nested|lst|list_of_lists", "list of lists|nested list", _list(_list(_small, 1, 4), 1, 4)),
    "nested": Kind("list", "nested|items|lst|nested_list", "nested list|list that may contain lists", _nested),
    "n": Kind("int", NUMBER, "number|integer|positive integer", lambda r: r.randint(0, 12)),
    "n1": Kind("int", NUMBER, "number|positive integer|integer|positive number", lambda r: r.choice([r.randint(1, 60), r.randint(1, 20)])),
    "count": Kind("int", "n|count|k|limit", "number", lambda r: r.randint(0, 8)),
    "big": Kind("int", NUMBER, "number|integer|positive integer", lambda r: r.choice([r.randint(0, 99), r.randint(100, 99999)])),
    "num": Kind("int", "n|number|num|x|value|a", "number|integer", lambda r: r.choice([r.randint(-20, 40), r.randint(-9, 9)])),
    "upper": Kind("int", "n|limit|top|end", "number", lambda r: r.randint(9, 30)),
    "k": Kind("int", "k|n|size|count|m", "number|integer", lambda r: r.randint(1, 4)),
    "year": Kind("int", "year|y", "year", lambda r: r.choice([r.randint(1890, 2040), r.choice([1900, 2000, 2024])])),
    "real": Kind("float", "x|value|number|n", "number", _half),
    "side": Kind("float", "side|a|length|s|x", "number", lambda r: r.choice([r.randint(1, 20), r.randint(1, 20) / 2])),
    "date": Kind("str", "date|day|date_string|s", "date string|date|date in the form YYYY-MM-DD", _date),
    "number": Kind("str", "s|text|number|string|value", "string", lambda r: r.choice([str(r.randint(0, 999)), "-4", "3.5", _lower(r), "12a"])),
    "binary": Kind("str", "binary|bits|s|b", "binary string|string of bits", lambda r: f"{r.randint(1, 63):b}"),
    "flag": Kind("bool", "flag|value", "boolean", lambda r: r.random() < 0.5),
    "obj": Kind("object", "value|x|item|obj", "value|object", lambda r: r.choice([1, "a", 2.5, [1], None, (1, 2)])),
    "brackets": Kind("str", "text|s|brackets|string|expression", "string of brackets|string", lambda r: r.choice(
        ["()", "([])", "(]", "((a + b) * c)", "[(])", "{[()]}", ")(", "(()", "", "{x: [1, 2]}"])),
    "roman": Kind("str", "roman|s|numeral", "Roman numeral", lambda r: r.choice(["I", "IV", "IX", "XII", "XL", "XC", "CD", "MCM", "MMXXIV"])),
    "email": Kind("str", "email|address|s|text", "email address|string", lambda r: r.choice(
        ["anna@mail.com", "ben.k@site.org", "no-at-sign.com", "a@b", "x y@mail.com", "dan99@example.co.uk", "@mail.com"])),
    "path": Kind("str", "path|filename|file|name", "file name|path", lambda r: r.choice(
        ["notes.txt", "docs/report.pdf", "a/b/photo.jpg", "archive.tar.gz", "README", "src/main.py"])),
    "password": Kind("str", "password|pw|s|text", "password|string", lambda r: r.choice(
        ["secret", "Secret123", "pass word1", "LONGPASS99", "aB3!xyz9", "short1A", "", "NoDigitsHere", "a1B2c3D4e5"])),
    "month": Kind("int", "month|m", "month", lambda r: r.randint(1, 12)),
    "day": Kind("int", "day|d", "day", lambda r: r.randint(0, 6)),
    "grade": Kind("int", "score|points", "score", lambda r: r.choice([r.randint(0, 30), r.randint(40, 110)])),
    "color": Kind("str", "color|light", "color", lambda r: r.choice(["red", "yellow", "green"])),
    "hand": Kind("str", "hand", "choice", lambda r: r.choice(["rock", "paper", "scissors"])),
    "operator": Kind("str", "operator|op", "operator", lambda r: r.choice("+-*/")),
    "time": Kind("str", "time|clock|t|s", "time|time string", lambda r: f"{r.randint(0, 23):02}:{r.randint(0, 59):02}"),
}
