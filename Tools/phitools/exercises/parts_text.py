"""Parts for words and characters: predicates and maps."""
from __future__ import annotations

import string

from .draw import Draw
from .parts import VERBS, Map, MapRule, Predicate, PredicateRule, atom

LETTERS = "abcdefghilmnoprstuw"


def _length(kind: str, phrases: str, operator: str, meaning, slug: str) -> PredicateRule:
    def rule(d: Draw) -> Predicate:
        phrase = d.one(phrases)
        k = d.integer(2, 7, "length|size|k|limit")
        singular, plural = phrase.replace("$k", k.text).split("/")
        return Predicate(kind, singular, plural, "", lambda x: f"len({x}) {operator} {k.code}",
                         lambda v, env: meaning(sum(1 for _ in v), k.value(env)), slug)
    return rule


def _letter(kind: str, singular: str, plural: str, code: str, meaning, slug: str) -> PredicateRule:
    def rule(d: Draw) -> Predicate:
        k = d.letter(LETTERS)
        return Predicate(kind, f"{singular} {k.text}", f"{plural} {k.text}", "",
                         lambda x: code.replace("x", x).replace("$k", k.code), lambda v, env: meaning(v, k.value(env)),
                         slug)
    return rule


def _word(kind: str, singular: str, plural: str, code: str, meaning, slug: str) -> PredicateRule:
    return lambda d: Predicate(
        kind, singular, plural, "", lambda x: code.replace("x", x), lambda v, env: meaning(v), slug)


WORD_PREDICATES: dict[str, PredicateRule] = {
    "longer": _length(
        "longer",
        "is longer than $k characters/are longer than $k characters|has more than $k characters/have more than $k characters|is longer than $k/are longer than $k", ">", lambda n, k: not n <= k, "long"),
    "shorter": _length(
        "shorter",
        "is shorter than $k characters/are shorter than $k characters|has fewer than $k characters/have fewer than $k characters|is shorter than $k/are shorter than $k", "<", lambda n, k: not n >= k, "short"),
    "of length": _length(
        "of length", "has exactly $k characters/have exactly $k characters|has a length of $k/have a length of $k",
        "==", lambda n, k: not n != k, "with_length"),
    "starts": _letter(
        "starts", "starts with", "start with", "x.startswith($k)", lambda v, k: v[:1] == k, "starting_with"),
    "ends": _letter("ends", "ends with", "end with", "x.endswith($k)", lambda v, k: v[-1:] == k, "ending_with"),
    "contains": _letter("contains", "contains", "contain", "$k in x", lambda v, k: v.count(k) > 0, "containing"),
    "lacks": _letter(
        "lacks", "does not contain", "do not contain", "$k not in x", lambda v, k: v.count(k) == 0, "without"),
    "upper": _word(
        "upper", "is in upper case", "are in upper case", "x.isupper()", lambda v: v.upper() == v and v.lower() != v,
        "upper"),
    "lower": _word(
        "lower", "is in lower case", "are in lower case", "x.islower()", lambda v: v.lower() == v and v.upper() != v,
        "lower"),
    "palindrome": _word(
        "palindrome", "is a palindrome", "are palindromes", "x == x[::-1]", lambda v: list(v) == list(reversed(v)),
        "palindromes"),
    "numeric": _word(
        "numeric", "consists of digits", "consist of digits", "x.isdigit()",
        lambda v: v != "" and set(v) <= set(string.digits), "numeric"),
}

CHARACTER_PREDICATES: dict[str, PredicateRule] = {
    "vowel": _word("vowel", "is a vowel", "are vowels", "x in 'aeiou'", lambda v: v in set("aeiou"), "vowels"),
    "not vowel": _word(
        "not vowel", "is not a vowel", "are not vowels", "x not in 'aeiou'", lambda v: v not in set("aeiou"),
        "non_vowels"),
    "digit": _word("digit", "is a digit", "are digits", "x.isdigit()", lambda v: v in string.digits, "digits"),
    "letter": _word(
        "letter", "is a letter", "are letters", "x.isalpha()", lambda v: v in string.ascii_letters, "letters"),
    "upper": _word(
        "upper", "is in upper case", "are in upper case", "x.isupper()", lambda v: v in string.ascii_uppercase,
        "upper"),
    "lower": _word(
        "lower", "is in lower case", "are in lower case", "x.islower()", lambda v: v in string.ascii_lowercase,
        "lower"),
    "space": _word("space", "is a space", "are spaces", "x == ' '", lambda v: v.isspace(), "spaces"),
    "not space": _word(
        "not space", "is not a space", "are not spaces", "x != ' '", lambda v: not v.isspace(), "non_spaces"),
    "equal": _letter("equal", "is equal to", "are equal to", "x == $k", lambda v, k: not v != k, "equal"),
    "different": _letter(
        "different", "is different from", "are different from", "x != $k", lambda v, k: not v == k, "other"),
}


def _map(kind: str, plural: str, singular: str, code: str, meaning, slug: str, result: str = "str") -> MapRule:
    return lambda d: Map(
        kind, plural, singular, VERBS.get(kind, ""), lambda x: code.replace("x", atom(x)), lambda v, env: meaning(v),
        slug, result)


def _ends_map(kind: str, words: str, code: str, meaning, slug: str) -> MapRule:
    def rule(d: Draw) -> Map:
        k = d.integer(2, 4, "count|k|size|length", 0.2)
        phrase = words.replace("$k", k.text)
        return Map(
            kind, phrase, phrase, VERBS[kind].replace("$k", k.text),
            lambda x: code.replace("x", atom(x)).replace("$k", k.code),
            lambda v, env: meaning(v, k.value(env)), slug, "str")
    return rule


def _affix(kind: str, plural: str, singular: str, code: str, meaning, slug: str, options: str) -> MapRule:
    def rule(d: Draw) -> Map:
        k = d.string(options)
        return Map(
            kind, plural.replace("$k", k.text), singular.replace("$k", k.text), VERBS[kind].replace("$k", k.text),
            lambda x: code.replace("x", atom(x)).replace("$k", k.code), lambda v, env: meaning(v, k.value(env)),
            slug, "str")
    return rule


WORD_MAPS: dict[str, MapRule] = {
    "upper": _map(
        "upper", "$s in upper case", "$s in upper case", "x.upper()", lambda v: "".join(c.upper() for c in v), "upper"),
    "lower": _map(
        "lower", "$s in lower case", "$s in lower case", "x.lower()", lambda v: "".join(c.lower() for c in v), "lower"),
    "capitalized": _map(
        "capitalized", "$s, each capitalized,", "$s capitalized", "x.capitalize()",
        lambda v: v[:1].upper() + v[1:].lower(), "capitalized"),
    "reversed": _map(
        "reversed", "$s, each reversed,", "$s reversed", "x[::-1]", lambda v: "".join(reversed(v)), "reversed"),
    "doubled": _map("doubled", "$s, each repeated twice,", "$s repeated twice", "x * 2", lambda v: v + v, "doubled"),
    "length": _map(
        "length", "the lengths of $s", "the length of $s", "len(x)", lambda v: sum(1 for _ in v), "lengths", "int"),
    "first": _ends_map(
        "first", "the first $k characters of $s", "x[:$k]", lambda v, k: "".join(c for i, c in enumerate(v) if i < k),
        "beginnings"),
    "last": _ends_map(
        "last", "the last $k characters of $s", "x[-$k:]", lambda v, k: v if len(v) < k else v[len(v) - k:], "endings"),
    "suffixed": _affix(
        "suffixed", "$s, each followed by $k,", "$s followed by $k", "x + $k", lambda v, k: "".join([v, k]), "suffixed",
        "!|?|s|_end|-x|ing|.txt"),
    "prefixed": _affix(
        "prefixed", "$s, each preceded by $k,", "$s preceded by $k", "$k + x", lambda v, k: "".join([k, v]), "prefixed",
        "re|un|my_|#|the |x-|@"),
}

CHARACTER_MAPS: dict[str, MapRule] = {
    "upper": WORD_MAPS["upper"],
    "lower": WORD_MAPS["lower"],
    "doubled": WORD_MAPS["doubled"],
    "code": _map(
        "code", "the character codes of $s", "the character code of $s", "ord(x)",
        lambda v: int.from_bytes(v.encode("utf-32-le"), "little"), "codes", "int"),
    "suffixed": WORD_MAPS["suffixed"],
}
