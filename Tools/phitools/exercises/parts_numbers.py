"""Parts for integers: predicates and maps."""
from __future__ import annotations

from .draw import Draw
from .parts import VERBS, Map, MapRule, Predicate, PredicateRule, atom


def _plain(kind: str, adjective: str, code: str, meaning, slug: str = "") -> PredicateRule:
    """Return a predicate without a constant; `x` in `code` is the element."""
    return lambda d: Predicate(kind, f"is {adjective}", f"are {adjective}", adjective, lambda x: code.replace("x", x),
                               lambda v, env: meaning(v), slug or adjective)


def _compare(
        kind: str, phrases: str, operator: str, meaning, low: int, high: int, names: str, slug: str) -> PredicateRule:
    """Return a predicate that compares with a constant, in one of several wordings."""
    def rule(d: Draw) -> Predicate:
        phrase = d.one(phrases)
        k = d.integer(low, high, names)
        words = phrase.replace("$k", k.text)
        return Predicate(
            kind, f"is {words}", f"are {words}", "", lambda x: operator.replace("x", x).replace("$k", k.code),
            lambda v, env: meaning(v, k.value(env)), slug)
    return rule


def _between(d: Draw) -> Predicate:
    low, high = d.integer(-5, 9, "low|start|lower|minimum", 0.15), d.integer(10, 30, "high|end|upper|maximum", 0.15)
    words = f"between {low.text} and {high.text}"
    return Predicate("between", f"is {words}", f"are {words}", "", lambda x: f"{low.code} <= {x} <= {high.code}",
                     lambda v, env: not (v < low.value(env) or v > high.value(env)), "in_range")


def _ends(d: Draw) -> Predicate:
    k = d.integer(0, 9, "digit|last", 0.2)
    return Predicate("ends in", f"ends in {k.text}", f"end in {k.text}", "", lambda x: f"abs({x}) % 10 == {k.code}",
                     lambda v, env: str(v)[-1] == str(k.value(env)),
                     f"ending_in_{k.text}" if k.text.isdigit() else "ending")


LIMITS, DIVISORS = "limit|k|threshold|bound|n", "divisor|k|d|factor"
PREDICATES: dict[str, PredicateRule] = {
    "even": _plain("even", "even", "x % 2 == 0", lambda v: v // 2 * 2 == v),
    "odd": _plain("odd", "odd", "x % 2 == 1", lambda v: v // 2 * 2 != v),
    "positive": _plain("positive", "positive", "x > 0", lambda v: not v <= 0),
    "negative": _plain("negative", "negative", "x < 0", lambda v: not v >= 0),
    "zero": _plain("zero", "zero", "x == 0", lambda v: not v),
    "nonzero": _plain("nonzero", "nonzero", "x != 0", bool),
    "greater": _compare(
        "greater", "greater than $k|larger than $k|above $k|more than $k", "x > $k", lambda v, k: not v <= k, -4, 20,
        LIMITS, "above"),
    "less": _compare(
        "less", "less than $k|smaller than $k|below $k", "x < $k", lambda v, k: not v >= k, -2, 22, LIMITS, "below"),
    "at least": _compare(
        "at least", "at least $k|greater than or equal to $k|not less than $k", "x >= $k", lambda v, k: not v < k, -4,
        20, LIMITS, "at_least"),
    "at most": _compare(
        "at most", "at most $k|less than or equal to $k|not greater than $k", "x <= $k", lambda v, k: not v > k, -2, 22,
        LIMITS, "at_most"),
    "multiple": _compare(
        "multiple", "divisible by $k|a multiple of $k|evenly divisible by $k", "x % $k == 0", lambda v,
        k: v // k * k == v, 2, 9, DIVISORS, "multiple"),
    "not multiple": _compare(
        "not multiple", "not divisible by $k|not a multiple of $k", "x % $k != 0", lambda v, k: v // k * k != v, 2, 7,
        DIVISORS, "not_multiple"),
    "equal": _compare(
        "equal", "equal to $k|the same as $k", "x == $k", lambda v, k: not v != k, 0, 12, "target|value_to_find|wanted",
        "equal"),
    "different": _compare(
        "different", "different from $k|not equal to $k|other than $k", "x != $k", lambda v, k: not v == k, 0, 12,
        "target|excluded|unwanted", "other"),
    "between": _between,
    "ends in": _ends,
}


def _map(kind: str, plural: str, singular: str, code: str, meaning, slug: str) -> MapRule:
    return lambda d: Map(
        kind, plural, singular, VERBS.get(kind, ""), lambda x: code.replace("x", atom(x)), lambda v, env: meaning(v),
        slug, "int")


def _map_k(
        kind: str, plural: str, singular: str, code: str, meaning, low: int, high: int, names: str,
        slug: str) -> MapRule:
    """Return a map with a constant; `$s` in the words is the set or the element: "the numbers plus 5"."""
    def rule(d: Draw) -> Map:
        k = d.integer(low, high, names)
        return Map(
            kind, plural.replace("$k", k.text), singular.replace("$k", k.text), VERBS[kind].replace("$k", k.text),
            lambda x: code.replace("x", atom(x)).replace("$k", k.code), lambda v, env: meaning(v, k.value(env)),
            slug, "int")
    return rule


MAPS: dict[str, MapRule] = {
    "square": _map("square", "the squares of $s", "the square of $s", "x ** 2", lambda v: v * v, "squares"),
    "cube": _map("cube", "the cubes of $s", "the cube of $s", "x ** 3", lambda v: v * v * v, "cubes"),
    "double": _map("double", "the doubles of $s", "twice $s", "2 * x", lambda v: v + v, "doubles"),
    "triple": _map("triple", "the triples of $s", "three times $s", "3 * x", lambda v: v + v + v, "triples"),
    "negation": _map("negation", "the negations of $s", "the negation of $s", "-x", lambda v: 0 - v, "negations"),
    "absolute": _map(
        "absolute", "the absolute values of $s", "the absolute value of $s", "abs(x)", lambda v: max(v, -v),
        "absolute_values"),
    "half": _map(
        "half", "the halves of $s, rounded down,", "half of $s, rounded down,", "x // 2", lambda v: (v - v % 2) // 2,
        "halves"),
    "digit": _map(
        "digit", "the last digits of $s", "the last digit of $s", "abs(x) % 10", lambda v: int(str(v)[-1]),
        "last_digits"),
    "plus": _map_k(
        "plus", "$s, each increased by $k,", "$s plus $k", "x + $k", lambda v, k: k + v, 1, 20,
        "increment|amount|offset", "increased"),
    "minus": _map_k(
        "minus", "$s, each decreased by $k,", "$s minus $k", "x - $k", lambda v, k: -(k - v), 1, 20,
        "decrement|amount|offset", "decreased"),
    "times": _map_k(
        "times", "$s, each multiplied by $k,", "$s times $k", "x * $k", lambda v, k: k * v, 4, 12,
        "factor|multiplier|scale", "scaled"),
    "remainder": _map_k(
        "remainder", "the remainders of $s divided by $k", "the remainder of $s divided by $k", "x % $k", lambda v,
        k: v - v // k * k, 3, 9, "divisor|modulus|m", "remainders"),
}
