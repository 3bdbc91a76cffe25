"""Families of exercises: each function here draws one exercise out of hundreds or thousands it can make.

Not run by itself; `exercises.py` draws from FAMILIES. Two kinds: *combining* families (predicate x transform x
reduction over lists, words, characters, dicts; formulas; classifications), and a table of *classics*
(`classics.py`), each with several wordings, names and bodies. A reference is always computed another way than the body.
"""
from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from classics import classic
from exercises import Exercise, choose, parse_params

INT_LISTS = "numbers/nums/values/items/data/arr/lst/xs"


def ints(r: random.Random, low: int = -9, high: int = 20, least: int = 0, most: int = 7) -> list[int]:
    return [r.randint(low, high) for _ in range(r.randint(least, most))]


WORDS = ("apple banana cherry river stone cat dog level radar tree house blue green sky moon sun star light night day "
         "python code loop list data table chair orange grape kiwi note song bird fish wolf bear lion ant owl eve noon "
         "paper pencil book page word line letter number ocean island forest garden flower summer winter").split()


def words(r: random.Random, least: int = 1, most: int = 6) -> list[str]:
    return [r.choice(WORDS) for _ in range(r.randint(least, most))]


# --- integer predicates: (adjective phrase, name part, expression in {x}, function) ---
def predicate(r: random.Random) -> tuple[str, str, str, Callable[[int], bool]]:
    k = r.randint(2, 12)
    return r.choice([
        ("even", "even", "{x} % 2 == 0", lambda n: not n & 1),
        ("even", "even", "{x} % 2 == 0", lambda n: not n & 1),
        ("odd", "odd", "{x} % 2 != 0", lambda n: bool(n & 1)),
        ("odd", "odd", "{x} % 2 == 1", lambda n: bool(n & 1)),
        ("positive", "positive", "{x} > 0", lambda n: n >= 1),
        ("negative", "negative", "{x} < 0", lambda n: n <= -1),
        ("non-negative", "non_negative", "{x} >= 0", lambda n: not n < 0),
        ("non-zero", "nonzero", "{x} != 0", bool),
        (f"divisible by {k}", f"divisible_by_{k}", f"{{x}} % {k} == 0", lambda n: n in range(-k * 99, k * 99, k)),
        (f"greater than {k}", f"greater_than_{k}", f"{{x}} > {k}", lambda n: not n <= k),
        (f"less than {k}", f"less_than_{k}", f"{{x}} < {k}", lambda n: not n >= k),
        (f"at least {k}", f"at_least_{k}", f"{{x}} >= {k}", lambda n: not n < k),
        (f"not equal to {k}", f"not_{k}", f"{{x}} != {k}", lambda n: not n == k),
        (f"between 0 and {k}", f"between_0_and_{k}", f"0 <= {{x}} <= {k}", lambda n: n in range(k + 1)),
    ])


def transform(r: random.Random) -> tuple[str, str, str, Callable[[int], int]]:
    k = r.randint(2, 12)
    return r.choice([
        ("square", "squares", "{x} ** 2", lambda n: n * n),
        ("square", "squares", "{x} * {x}", lambda n: n ** 2),
        ("cube", "cubes", "{x} ** 3", lambda n: n * n * n),
        ("double", "doubles", "{x} * 2", lambda n: n + n),
        ("absolute value", "absolute_values", "abs({x})", lambda n: n if n > 0 else -n),
        ("negation", "negations", "-{x}", lambda n: 0 - n),
        (f"product with {k}", f"products_with_{k}", f"{{x}} * {k}", lambda n: sum([n] * k)),
        (f"remainder modulo {k}", f"remainders_modulo_{k}", f"{{x}} % {k}", lambda n: n - k * math.floor(n / k)),
        (f"sum with {k}", f"sums_with_{k}", f"{{x}} + {k}", lambda n: k + n),
    ])


def list_fold(r: random.Random) -> Exercise:
    """Sum, count, largest, product ... of the (transformed) numbers that satisfy a predicate."""
    pd, pn, pe, pf = predicate(r)
    has_t = r.random() < 0.4
    td, tn, te, tf = transform(r) if has_t else ("", "", "{x}", lambda n: n)
    pred, term = pe.format(x="$x"), te.format(x="$x")
    kind = r.choice(["sum", "count", "list", "max", "min", "product", "any", "all", "first", "index", "average", "remove"])
    of = f"the {td}s of the " if has_t else "the "
    adj = f"{pd} numbers" if not pd.startswith(("div", "gr", "le", "at", "not", "bet")) else f"numbers that are {pd}"
    suffix = f"{tn}_of_{pn}" if has_t else pn
    p = parse_params(r, f"{INT_LISTS}: list[int]")
    xs = "$numbers"
    if kind == "sum":
        doc = choose(r, f"Return the sum of {of}{adj} in {xs}.|Add up {of}{adj} of a list.|Calculate the sum of {of}{adj}.")
        body = choose(r, f"$total = 0\nfor $x in {xs}:\n    if {pred}:\n        $total += {term}\nreturn $total|"
                         f"return sum({term} for $x in {xs} if {pred})|"
                         f"$total = 0\nfor $x in {xs}:\n    if {pred}:\n        $total = $total + {term}\nreturn $total")
        ref: Callable[..., Any] = lambda v: sum(map(tf, filter(pf, v)))
        ret, name = "int", choose(r, f"sum_{suffix}|sum_of_{suffix}|add_{suffix}|total_{suffix}")
    elif kind == "count":
        doc = choose(r, f"Count the {adj} in {xs}.|Return how many {adj} the list contains.|Return the number of {adj} in a list.")
        body = choose(r, f"$count = 0\nfor $x in {xs}:\n    if {pred}:\n        $count += 1\nreturn $count|"
                         f"return sum(1 for $x in {xs} if {pred})|return len([$x for $x in {xs} if {pred}])")
        ref = lambda v: len(list(filter(pf, v)))
        ret, name = "int", choose(r, f"count_{pn}|count_{pn}_numbers|number_of_{pn}|how_many_{pn}")
    elif kind == "list":
        doc = choose(r, f"Return a list of {of}{adj} in {xs}.|Return {of}{adj} of a list, in order.|Collect {of}{adj} in a new list.")
        body = choose(r, f"$out = []\nfor $x in {xs}:\n    if {pred}:\n        $out.append({term})\nreturn $out|"
                         f"return [{term} for $x in {xs} if {pred}]")
        ref = lambda v: list(map(tf, filter(pf, v)))
        ret, name = "list[int]", choose(r, f"get_{suffix}|filter_{suffix}|{suffix}_numbers|select_{suffix}|keep_{suffix}|find_{suffix}")
    elif kind == "remove":
        doc = choose(r, f"Return {xs} without the {adj}.|Remove all {adj} from a list.|Return a new list that leaves out the {adj}.")
        body = choose(r, f"$out = []\nfor $x in {xs}:\n    if not ({pred}):\n        $out.append($x)\nreturn $out|"
                         f"return [$x for $x in {xs} if not ({pred})]")
        ref = lambda v: [n for n in v if pf(n) is False or not pf(n)]
        ret, name = "list[int]", choose(r, f"remove_{pn}|drop_{pn}|without_{pn}|exclude_{pn}")
    elif kind in ("max", "min"):
        adjective, op = ("largest", ">") if kind == "max" else ("smallest", "<")
        doc = choose(r, f"Return the {adjective} of the {adj} in {xs}, or None if there is none.|"
                        f"Find the {adjective} among the {adj}. Return None when there are none.")
        body = choose(r, f"$best = None\nfor $x in {xs}:\n    if {pred}:\n        if $best is None or $x {op} $best:\n"
                         f"            $best = $x\nreturn $best|"
                         f"$out = [$x for $x in {xs} if {pred}]\nif not $out:\n    return None\nreturn {kind}($out)")
        ref = lambda v: (sorted(filter(pf, v)) or [None])[-1 if kind == "max" else 0]
        ret, name = "int | None", choose(r, f"{adjective}_{pn}|find_{adjective}_{pn}|{kind}_{pn}")
    elif kind == "product":
        doc = choose(r, f"Return the product of {of}{adj} in {xs}.|Multiply {of}{adj} of a list together.")
        body = f"$total = 1\nfor $x in {xs}:\n    if {pred}:\n        $total *= {term}\nreturn $total"
        ref = lambda v: math.prod(map(tf, filter(pf, v)))
        ret, name = "int", choose(r, f"product_of_{suffix}|multiply_{suffix}")
    elif kind in ("any", "all"):
        one = f"a number that is {pd}" if kind == "any" else f"only numbers that are {pd}"
        doc = choose(r, f"Check if {xs} contains {one}.|Return True if the list has {one}.|Check whether {kind} of the numbers are {pd}.")
        flip = ("True", "False") if kind == "any" else ("False", "True")
        cond = pred if kind == "any" else f"not ({pred})"
        body = choose(r, f"for $x in {xs}:\n    if {cond}:\n        return {flip[0]}\nreturn {flip[1]}|return {kind}({pred} for $x in {xs})")
        ref = (lambda v: len(list(filter(pf, v))) > 0) if kind == "any" else (lambda v: len(list(filter(pf, v))) == len(v))
        ret, name = "bool", choose(r, f"has_{pn}|contains_{pn}|any_{pn}") if kind == "any" else choose(r, f"all_{pn}|only_{pn}|are_all_{pn}")
    elif kind in ("first", "index"):
        what = "number" if kind == "first" else "index of the first number"
        first = "first " if kind == "first" else ""
        none = "None" if kind == "first" else "-1"
        doc = f"Return the {first}{what} in {xs} that is {pd}, or {none} if there is none."
        body = (f"for $x in {xs}:\n    if {pred}:\n        return $x\nreturn None" if kind == "first" else
                f"for $i, $x in enumerate({xs}):\n    if {pred}:\n        return $i\nreturn -1")
        ref = (lambda v: next(filter(pf, v), None)) if kind == "first" else (lambda v: ([*map(pf, v), True].index(True) if any(map(pf, v)) else -1))
        ret = "int | None" if kind == "first" else "int"
        name = choose(r, f"first_{pn}|find_first_{pn}") if kind == "first" else choose(r, f"index_of_first_{pn}|first_{pn}_index|find_{pn}_index")
    else:
        doc = choose(r, f"Return the average of the {adj} in {xs}, or 0 if there are none.|Compute the mean of the {adj}. Return 0 for an empty selection.")
        body = f"$out = [$x for $x in {xs} if {pred}]\nif not $out:\n    return 0\nreturn sum($out) / len($out)"
        ref = lambda v: (lambda s: sum(s) / len(s) if s else 0)(list(filter(pf, v)))
        ret, name = "float", choose(r, f"average_{pn}|mean_of_{pn}|average_of_{pn}")
    return Exercise(name, p, ret, doc, body, ref, [(ints(r, least=2),), (ints(r),), (ints(r),)])


def list_map(r: random.Random) -> Exercise:
    """Transform every number of a list, or fold the transformed numbers."""
    td, tn, te, tf = transform(r)
    term = te.format(x="$x")
    p = parse_params(r, f"{INT_LISTS}: list[int]")
    if r.random() < 0.5:
        doc = choose(r, f"Return a list with the {td} of each number in $numbers.|Return the {td}s of all numbers in a list.|Compute the {td} of every element.")
        body = choose(r, f"return [{term} for $x in $numbers]|$out = []\nfor $x in $numbers:\n    $out.append({term})\nreturn $out")
        return Exercise(choose(r, f"{tn}|get_{tn}|list_of_{tn}|map_{tn}"), p, "list[int]", doc, body,
                        lambda v: list(map(tf, v)), [(ints(r, least=2),), (ints(r),)])
    doc = choose(r, f"Return the sum of the {td}s of the numbers in $numbers.|Add up the {td}s of all numbers.")
    body = choose(r, f"return sum({term} for $x in $numbers)|$total = 0\nfor $x in $numbers:\n    $total += {term}\nreturn $total")
    return Exercise(choose(r, f"sum_of_{tn}|sum_{tn}|total_of_{tn}"), p, "int", doc, body,
                    lambda v: sum(map(tf, v)), [(ints(r, least=2),), (ints(r),)])


def up_to_n(r: random.Random) -> Exercise:
    """Sum, count or list over the integers from 1 to n."""
    pd, pn, pe, pf = predicate(r)
    has_p = r.random() < 0.7
    pred = pe.format(x="$i")
    adj = (f"{pd} numbers" if " " not in pd else f"numbers that are {pd}") if has_p else "numbers"
    suffix = pn if has_p else "numbers"
    test = pf if has_p else (lambda n: True)
    p = parse_params(r, "n/number/limit: int")
    guard, deep = (f"    if {pred}:\n", "        ") if has_p else ("", "    ")
    tail = f" if {pred}" if has_p else ""
    kind = r.choice(["sum", "count", "list", "print"]) if has_p else r.choice(["sum", "list", "squares", "print", "down"])
    calls: list[tuple[Any, ...]] = [(r.randint(4, 20),), (r.randint(1, 12),), (0,)]
    if kind == "sum":
        return Exercise(choose(r, f"sum_{suffix}_up_to|sum_of_{suffix}|sum_{suffix}"), p, "int",
                        choose(r, f"Return the sum of all {adj} from 1 to $n.|Add up the {adj} between 1 and $n."),
                        choose(r, f"$total = 0\nfor $i in range(1, $n + 1):\n{guard}{deep}$total += $i\nreturn $total|return sum($i for $i in range(1, $n + 1){tail})"),
                        lambda n: sum(filter(test, range(n + 1))), calls)
    if kind == "count":
        return Exercise(choose(r, f"count_{suffix}_up_to|count_{suffix}"), p, "int", f"Count the {adj} from 1 to $n.",
                        f"$count = 0\nfor $i in range(1, $n + 1):\n{guard}{deep}$count += 1\nreturn $count",
                        lambda n: len(list(filter(test, range(1, n + 1)))), calls)
    if kind == "print":
        return Exercise(choose(r, f"print_{suffix}|show_{suffix}"), p, "None",
                        choose(r, f"Print all {adj} from 1 to $n.|Print the {adj} between 1 and $n, one per line."),
                        f"for $i in range(1, $n + 1):\n{guard}{deep}print($i)", lambda n: None, [(0,)])
    if kind == "squares":
        return Exercise(choose(r, "sum_of_squares|sum_squares_up_to"), p, "int", "Return the sum of the squares of the numbers from 1 to $n.",
                        choose(r, "$total = 0\nfor $i in range(1, $n + 1):\n    $total += $i * $i\nreturn $total|return sum($i ** 2 for $i in range(1, $n + 1))"),
                        lambda n: n * (n + 1) * (2 * n + 1) // 6, calls)
    if kind == "down":
        return Exercise(choose(r, "countdown|count_down|numbers_down_from"), p, "list[int]", choose(r, "Return the numbers from $n down to 1.|Count down from $n to 1."),
                        choose(r, "return list(range($n, 0, -1))|$out = []\nwhile $n > 0:\n    $out.append($n)\n    $n -= 1\nreturn $out"),
                        lambda n: sorted(range(1, n + 1), reverse=True), calls)
    return Exercise(choose(r, f"{suffix}_up_to|list_{suffix}|get_{suffix}_up_to"), p, "list[int]",
                    choose(r, f"Return a list of all {adj} from 1 to $n.|Return the {adj} between 1 and $n as a list."),
                    choose(r, f"return [$i for $i in range(1, $n + 1){tail}]|$out = []\nfor $i in range(1, $n + 1):\n{guard}{deep}$out.append($i)\nreturn $out"),
                    lambda n: list(filter(test, range(1, n + 1))), calls)


def word_family(r: random.Random) -> Exercise:
    """Words of a list or of a sentence that satisfy a condition, transformed and collected."""
    k, c = r.randint(2, 6), r.choice("abcdeglnorst")
    cd, cn, ce, cf = r.choice([
        (f"longer than {k} characters", f"longer_than_{k}", f"len($w) > {k}", lambda s: not len(s) <= k),
        (f"shorter than {k} characters", f"shorter_than_{k}", f"len($w) < {k}", lambda s: not len(s) >= k),
        (f"with exactly {k} letters", f"with_{k}_letters", f"len($w) == {k}", lambda s: not len(s) != k),
        (f"that start with '{c}'", f"starting_with_{c}", f"$w.startswith('{c}')", lambda s: s[:1] == c),
        (f"that end with '{c}'", f"ending_with_{c}", f"$w.endswith('{c}')", lambda s: s[-1:] == c),
        (f"that contain the letter '{c}'", f"containing_{c}", f"'{c}' in $w", lambda s: s.count(c) > 0),
        ("that are palindromes", "that_are_palindromes", "$w == $w[::-1]", lambda s: list(s) == list(reversed(s))),
        ("that start with a vowel", "starting_with_vowel", "$w[0] in 'aeiou'", lambda s: s[0] in set("aeiou")),
    ])
    td, tn, te, tf = r.choice([
        ("", "", "$w", lambda s: s), ("", "", "$w", lambda s: s),
        ("in upper case", "_upper", "$w.upper()", str.upper),
        ("reversed", "_reversed", "$w[::-1]", lambda s: "".join(reversed(s))),
        ("capitalized", "_capitalized", "$w.capitalize()", lambda s: s[0].upper() + s[1:]),
    ])
    from_text = r.random() < 0.4
    p = parse_params(r, "text/sentence/s: str" if from_text else "words/strings/names/items: list[str]")
    src = "$text.split()" if from_text else "$words"
    where = "in $text" if from_text else "in $words"
    gen: Callable[[], tuple[Any, ...]] = (lambda: (" ".join(words(r, 2)),)) if from_text else (lambda: (words(r, 2),))
    split: Callable[[Any], list[str]] = (lambda a: a.split(" ")) if from_text else (lambda a: a)
    kind = r.choice(["list", "list", "count", "dict", "join", "any"])
    tds = f", {td}" if td else ""
    if kind == "list":
        doc = choose(r, f"Return the words {where} {cd}{tds}.|Return a list of all words {cd}{tds}.|Find the words {where} {cd}{tds}.")
        body = choose(r, f"return [{te} for $w in {src} if {ce}]|$out = []\nfor $w in {src}:\n    if {ce}:\n        $out.append({te})\nreturn $out")
        return Exercise(choose(r, f"words_{cn}{tn}|find_words_{cn}{tn}|get_words_{cn}{tn}|filter_words_{cn}{tn}"), p, "list[str]", doc, body,
                        lambda a: list(map(tf, filter(cf, split(a)))), [gen(), gen(), gen()])
    if kind == "count":
        doc = choose(r, f"Count the words {where} {cd}.|Return the number of words {cd}.")
        body = choose(r, f"$count = 0\nfor $w in {src}:\n    if {ce}:\n        $count += 1\nreturn $count|return sum(1 for $w in {src} if {ce})")
        return Exercise(f"count_words_{cn}", p, "int", doc, body, lambda a: len(list(filter(cf, split(a)))), [gen(), gen()])
    if kind == "dict":
        doc = f"Return a dictionary that maps each word {where} {cd} to its length."
        body = choose(r, f"return {{$w: len($w) for $w in {src} if {ce}}}|$out = {{}}\nfor $w in {src}:\n    if {ce}:\n        $out[$w] = len($w)\nreturn $out")
        return Exercise(choose(r, f"lengths_of_words_{cn}|word_lengths_{cn}"), p, "dict[str, int]", doc, body,
                        lambda a: dict((s, len(s)) for s in filter(cf, split(a))), [gen(), gen()])
    if kind == "join":
        sep, sepname = r.choice([(" ", "spaces"), (", ", "commas"), ("-", "hyphens")])
        doc = f"Join the words {where} {cd}{tds} with {sepname}."
        body = choose(r, f"return '{sep}'.join({te} for $w in {src} if {ce})|$out = [{te} for $w in {src} if {ce}]\nreturn '{sep}'.join($out)")
        return Exercise(choose(r, f"join_words_{cn}{tn}|joined_words_{cn}{tn}"), p, "str", doc, body,
                        lambda a: sep.join(list(map(tf, filter(cf, split(a))))), [gen(), gen()])
    doc = f"Check if there are any words {where} {cd}."
    body = choose(r, f"return any({ce} for $w in {src})|for $w in {src}:\n    if {ce}:\n        return True\nreturn False")
    return Exercise(f"has_words_{cn}", p, "bool", doc, body, lambda a: len(list(filter(cf, split(a)))) > 0, [gen(), gen()])


def char_family(r: random.Random) -> Exercise:
    """Count, keep, drop or replace the characters of a string that satisfy a condition."""
    c = r.choice("abcdeinorst")
    cd, cn, ce, cf = r.choice([
        ("vowels", "vowels", "$ch.lower() in 'aeiou'", lambda s: s in "aeiouAEIOU"),
        ("vowels", "vowels", "$ch in 'aeiouAEIOU'", lambda s: s.lower() in set("aeiou")),
        ("digits", "digits", "$ch.isdigit()", lambda s: s in "0123456789"),
        ("letters", "letters", "$ch.isalpha()", lambda s: s.lower() != s.upper()),
        ("uppercase letters", "uppercase", "$ch.isupper()", lambda s: "A" <= s <= "Z"),
        ("lowercase letters", "lowercase", "$ch.islower()", lambda s: "a" <= s <= "z"),
        ("spaces", "spaces", "$ch == ' '", lambda s: ord(s) == 32),
        (f"occurrences of '{c}'", f"letter_{c}", f"$ch == '{c}'", lambda s: s in c),
        ("consonants", "consonants", "$ch.isalpha() and $ch.lower() not in 'aeiou'", lambda s: s.lower() in "bcdfghjklmnpqrstvwxyz"),
    ])
    p = parse_params(r, "text/s/string/sentence: str")
    samples = [" ".join(r.choice([w, w.capitalize(), w.upper(), w + str(r.randint(0, 99))]) for w in words(r, 1, 3)) for _ in range(3)]
    calls: list[tuple[Any, ...]] = [(s,) for s in samples]
    kind = r.choice(["count", "keep", "remove", "replace", "positions", "has"])
    if kind == "count":
        return Exercise(choose(r, f"count_{cn}|number_of_{cn}|{cn}_count"), p, "int",
                        choose(r, f"Count the {cd} in $text.|Return the number of {cd} in a string."),
                        choose(r, f"$count = 0\nfor $ch in $text:\n    if {ce}:\n        $count += 1\nreturn $count|return sum(1 for $ch in $text if {ce})"),
                        lambda s: len(list(filter(cf, s))), calls)
    if kind == "keep":
        return Exercise(choose(r, f"keep_{cn}|only_{cn}|extract_{cn}|get_{cn}"), p, "str",
                        choose(r, f"Return only the {cd} of $text.|Keep the {cd} of a string and drop everything else."),
                        choose(r, f"$out = ''\nfor $ch in $text:\n    if {ce}:\n        $out += $ch\nreturn $out|return ''.join($ch for $ch in $text if {ce})"),
                        lambda s: "".join(filter(cf, s)), calls)
    if kind == "remove":
        return Exercise(choose(r, f"remove_{cn}|without_{cn}|strip_{cn}|delete_{cn}"), p, "str",
                        choose(r, f"Return $text without the {cd}.|Remove all {cd} from a string."),
                        choose(r, f"$out = ''\nfor $ch in $text:\n    if not ({ce}):\n        $out += $ch\nreturn $out|return ''.join($ch for $ch in $text if not ({ce}))"),
                        lambda s: "".join([u for u in s if not cf(u)]), calls)
    if kind == "replace":
        m = r.choice("*-_#.")
        return Exercise(choose(r, f"replace_{cn}|mask_{cn}|hide_{cn}"), p, "str", f"Replace all {cd} in $text by '{m}'.",
                        choose(r, f"$out = ''\nfor $ch in $text:\n    if {ce}:\n        $out += '{m}'\n    else:\n        $out += $ch\nreturn $out|"
                                  f"return ''.join('{m}' if {ce} else $ch for $ch in $text)"),
                        lambda s: "".join((u, m)[bool(cf(u))] for u in s), calls)
    if kind == "positions":
        return Exercise(choose(r, f"positions_of_{cn}|find_{cn}|indices_of_{cn}"), p, "list[int]", f"Return the positions of the {cd} in $text.",
                        choose(r, f"return [$i for $i, $ch in enumerate($text) if {ce}]|$out = []\nfor $i, $ch in enumerate($text):\n    if {ce}:\n        $out.append($i)\nreturn $out"),
                        lambda s: [j for j in range(len(s)) if cf(s[j])], calls)
    return Exercise(choose(r, f"has_{cn}|contains_{cn}"), p, "bool", choose(r, f"Check if $text contains any {cd}.|Return True if there are {cd} in the string."),
                    choose(r, f"return any({ce} for $ch in $text)|for $ch in $text:\n    if {ce}:\n        return True\nreturn False"),
                    lambda s: len(list(filter(cf, s))) > 0, calls)


TOPICS = [("prices", "item", "price"), ("scores", "student", "score"), ("ages", "name", "age"), ("stock", "product", "quantity"),
          ("grades", "student", "grade"), ("salaries", "employee", "salary"), ("populations", "city", "population"),
          ("inventory", "product", "amount"), ("votes", "candidate", "count"), ("temperatures", "city", "temperature")]


def dict_family(r: random.Random) -> Exercise:
    """Select, transform or fold the entries of a dict."""
    d, key, value = r.choice(TOPICS)
    n = r.randint(5, 60)
    p = parse_params(r, f"{d}/d/data/table: dict[str, int]")
    D = "$" + d

    def table() -> dict[str, int]:
        return {w: r.randint(1, 99) for w in words(r, 2, 4)}

    calls: list[tuple[Any, ...]] = [(table(),), (table(),)]
    kind = r.choice(["above", "below", "total", "max", "min", "sorted", "average", "count", "scale", "invert", "names", "get"])
    if kind in ("above", "below"):
        op, say = (">", "above") if kind == "above" else ("<", "below")
        return Exercise(choose(r, f"{d}_{say}_{n}|filter_{d}_{say}_{n}|{key}s_{say}_{n}"), p, "dict[str, int]",
                        choose(r, f"Return the entries of {D} with a {value} {say} {n}.|Keep only the entries whose {value} is {say} {n}."),
                        choose(r, f"return {{$k: $v for $k, $v in {D}.items() if $v {op} {n}}}|$out = {{}}\nfor $k, $v in {D}.items():\n    if $v {op} {n}:\n        $out[$k] = $v\nreturn $out"),
                        lambda t: dict(e for e in t.items() if (e[1] > n if kind == "above" else e[1] < n)), calls)
    if kind == "names":
        return Exercise(f"{key}s_with_{value}_over_{n}", p, "list[str]", f"Return the {key}s whose {value} is over {n}, sorted by name.",
                        f"return sorted($k for $k, $v in {D}.items() if $v > {n})", lambda t: sorted(u for u in t if t[u] > n), calls)
    if kind == "total":
        return Exercise(choose(r, f"total_{value}|sum_{d}|total_{d}"), p, "int", choose(r, f"Return the total of all {d} in the dictionary.|Add up the values of {D}."),
                        choose(r, f"return sum({D}.values())|$total = 0\nfor $v in {D}.values():\n    $total += $v\nreturn $total"),
                        lambda t: sum(t[u] for u in t), calls)
    if kind in ("max", "min"):
        word, op = ("highest", ">") if kind == "max" else ("lowest", "<")
        return Exercise(choose(r, f"{key}_with_{word}_{value}|{word}_{value}|find_{word}_{value}"), p, "str",
                        choose(r, f"Return the {key} with the {word} {value}.|Find the {key} whose {value} is the {word}."),
                        choose(r, f"return {kind}({D}, key={D}.get)|$best = None\nfor $k in {D}:\n    if $best is None or {D}[$k] {op} {D}[$best]:\n        $best = $k\nreturn $best"),
                        lambda t: next(u for u in t if t[u] == (max if kind == "max" else min)(t.values())), calls)
    if kind == "sorted":
        down = r.random() < 0.5
        return Exercise(choose(r, f"sort_by_{value}|{key}s_by_{value}|rank_{key}s"), p, "list[str]",
                        f"Return the {key}s sorted by {value}, {'highest' if down else 'lowest'} first.",
                        f"return sorted({D}, key={D}.get{', reverse=True' if down else ''})",
                        lambda t: [e[0] for e in sorted(t.items(), key=lambda e: -e[1] if down else e[1])], calls)
    if kind == "average":
        return Exercise(choose(r, f"average_{value}|mean_{value}"), p, "float", choose(r, f"Return the average {value}.|Compute the mean of the {d}."),
                        choose(r, f"return sum({D}.values()) / len({D})|if not {D}:\n    return 0.0\nreturn sum({D}.values()) / len({D})"),
                        lambda t: sum(t[u] for u in t) / len(list(t)), calls)
    if kind == "count":
        return Exercise(choose(r, f"count_{d}_over_{n}|count_{key}s_over_{n}"), p, "int", f"Count the {key}s with a {value} over {n}.",
                        choose(r, f"return sum(1 for $v in {D}.values() if $v > {n})|$count = 0\nfor $v in {D}.values():\n    if $v > {n}:\n        $count += 1\nreturn $count"),
                        lambda t: len([u for u in t if t[u] > n]), calls)
    if kind == "scale":
        m = r.randint(2, 9)
        verb, op = r.choice([("Multiply", "*"), ("Increase", "+")])
        return Exercise(choose(r, f"{verb.lower()}_{d}|update_{d}|{verb.lower()}_each_{value}"), p, "dict[str, int]", f"{verb} every {value} by {m} and return a new dictionary.",
                        choose(r, f"return {{$k: $v {op} {m} for $k, $v in {D}.items()}}|$out = {{}}\nfor $k in {D}:\n    $out[$k] = {D}[$k] {op} {m}\nreturn $out"),
                        lambda t: dict((u, t[u] * m if op == "*" else t[u] + m) for u in t), calls)
    if kind == "invert":
        return Exercise(choose(r, f"invert_{d}|swap_{d}|{value}_to_{key}"), p, "dict[int, str]", f"Return a dictionary that maps each {value} to its {key}.",
                        choose(r, f"return {{$v: $k for $k, $v in {D}.items()}}|$out = {{}}\nfor $k, $v in {D}.items():\n    $out[$v] = $k\nreturn $out"),
                        lambda t: dict(zip(t.values(), t)), calls)
    p = p + [("who", key if key != p[0][1] else "who", "str")]
    return Exercise(choose(r, f"get_{value}|{value}_of|lookup_{value}"), p, "int", f"Return the {value} of the given {key}, or 0 if it is unknown.",
                    choose(r, f"return {D}.get($who, 0)|if $who in {D}:\n    return {D}[$who]\nreturn 0"),
                    lambda t, u: dict(t, **{} if u in t else {u: 0})[u], [(table(), r.choice(WORDS)) for _ in range(2)])


def number_check(r: random.Random) -> Exercise:
    """Whether one number satisfies one or two predicates."""
    ad, an, ae, af = predicate(r)
    bd, bn, be, bf = predicate(r)
    p = parse_params(r, "n/number/num/x/value: int")
    calls: list[tuple[Any, ...]] = [(r.randint(-20, 60),) for _ in range(4)]
    a, b = ae.format(x="$n"), be.format(x="$n")
    how = r.choice(["one", "and", "or", "not"])
    if how == "one" or an == bn:
        return Exercise(choose(r, f"is_{an}|check_{an}"), p, "bool", choose(r, f"Check if $n is {ad}.|Return True if the number is {ad}."),
                        choose(r, f"return {a}|if {a}:\n    return True\nreturn False|if {a}:\n    return True\nelse:\n    return False"), lambda n: bool(af(n)), calls)
    if how == "not":
        return Exercise(f"is_not_{an}", p, "bool", f"Return True if $n is not {ad}.", f"return not ({a})", lambda n: not af(n), calls)
    test: Callable[[int], bool] = (lambda n: all([af(n), bf(n)])) if how == "and" else (lambda n: any([af(n), bf(n)]))
    both = "both " if how == "and" else ""
    joined = f"({a}) {how} ({b})" if "<= $n <=" in a + b else f"{a} {how} {b}"
    return Exercise(choose(r, f"is_{an}_{how}_{bn}|check_{an}_{how}_{bn}"), p, "bool",
                    choose(r, f"Check if $n is {both}{ad} {how} {bd}.|Return True if the number is {both}{ad} {how} {bd}."),
                    choose(r, f"return {joined}|if {joined}:\n    return True\nreturn False"), test, calls)


def classify(r: random.Random) -> Exercise:
    """Thresholds to labels with if, elif and else."""
    topic, unit, labels = r.choice([
        ("temperature", "degrees", ["cold", "mild", "hot"]), ("score", "points", ["fail", "pass", "excellent"]),
        ("age", "years", ["child", "adult", "senior"]), ("speed", "km/h", ["slow", "normal", "fast"]),
        ("price", "dollars", ["cheap", "fair", "expensive"]), ("height", "cm", ["short", "average", "tall"]),
        ("weight", "kg", ["light", "medium", "heavy"]), ("size", "units", ["small", "medium", "large"]),
        ("distance", "km", ["near", "far", "very far"]), ("humidity", "percent", ["dry", "comfortable", "humid"])])
    low, high = sorted(r.sample(range(5, 95), 2))
    p = parse_params(r, f"{topic}/value/x/n: int")
    q = "$" + topic
    s1, s2, s3 = labels
    body = choose(r, f"if {q} < {low}:\n    return '{s1}'\nelif {q} < {high}:\n    return '{s2}'\nelse:\n    return '{s3}'|"
                     f"if {q} < {low}:\n    return '{s1}'\nif {q} < {high}:\n    return '{s2}'\nreturn '{s3}'")
    return Exercise(choose(r, f"classify_{topic}|describe_{topic}|{topic}_category|{topic}_label|get_{topic}_level"), p, "str",
                    choose(r, f"Return '{s1}' if {q} is below {low}, '{s2}' if it is below {high} and '{s3}' otherwise.|"
                              f"Classify a {topic}: below {low} {unit} is '{s1}', below {high} is '{s2}', anything else is '{s3}'."),
                    body, lambda v: labels[(v >= low) + (v >= high)], [(r.randint(0, 100),) for _ in range(4)])


FORMULAS: list[tuple[str, str, str, str, str, Callable[..., Any]]] = [
    ("celsius_to_fahrenheit|to_fahrenheit", "celsius/c/temperature: float", "float", "Convert a temperature from Celsius to Fahrenheit.", "return $celsius * 9 / 5 + 32", lambda c: 9 * c / 5 + 32),
    ("fahrenheit_to_celsius|to_celsius", "fahrenheit/f_/temperature: float", "float", "Convert a temperature from Fahrenheit to Celsius.", "return ($fahrenheit - 32) * 5 / 9", lambda f: 5 * (f - 32) / 9),
    ("rectangle_area|area_of_rectangle|compute_area", "width/w/a: int; height/h/b: int", "int", "Return the area of a rectangle.|Compute the area of a rectangle from its $width and $height.", "return $width * $height", lambda a, b: b * a),
    ("rectangle_perimeter|perimeter_of_rectangle|perimeter", "width/w/a: int; height/h/b: int", "int", "Return the perimeter of a rectangle.", "return 2 * ($width + $height)", lambda a, b: a + a + b + b),
    ("square_area|area_of_square", "side/s/a: int", "int", "Return the area of a square.", "return $side * $side|return $side ** 2", lambda a: a * a),
    ("triangle_area|area_of_triangle", "base/b: int; height/h: int", "float", "Return the area of a triangle.|Compute the area of a triangle from its $base and $height.", "return $base * $height / 2", lambda a, b: (b * a) / 2),
    ("box_volume|volume_of_box", "length/l/a: int; width/w/b: int; height/h/c: int", "int", "Return the volume of a box.", "return $length * $width * $height", lambda a, b, c: c * b * a),
    ("cube_volume|volume_of_cube", "side/s/a: int", "int", "Return the volume of a cube.", "return $side ** 3", lambda a: a * a * a),
    ("minutes_to_seconds", "minutes/m/n: int", "int", "Convert minutes to seconds.", "return $minutes * 60", lambda m: 60 * m),
    ("hours_to_minutes", "hours/h/n: int", "int", "Convert hours to minutes.", "return $hours * 60", lambda m: 60 * m),
    ("days_to_hours", "days/d/n: int", "int", "Convert days to hours.", "return $days * 24", lambda m: 24 * m),
    ("seconds_to_minutes", "seconds/s/n: int", "tuple[int, int]", "Convert seconds to minutes and remaining seconds.", "return $seconds // 60, $seconds % 60|return divmod($seconds, 60)", lambda s: divmod(s, 60)),
    ("average_of_two|mean_of_two", "a/x/first: int; b/y/second: int", "float", "Return the average of two numbers.", "return ($a + $b) / 2", lambda a, b: (b + a) / 2),
    ("average_of_three|mean_of_three", "a/x: int; b/y: int; c/z: int", "float", "Return the average of three numbers.", "return ($a + $b + $c) / 3", lambda a, b, c: sum([a, b, c]) / 3),
    ("add|add_numbers|sum_of_two", "a/x/first: int; b/y/second: int", "int", "Return the sum of two numbers.|Add two numbers.|Add $a and $b.", "return $a + $b", lambda a, b: sum([a, b])),
    ("subtract|difference", "a/x/first: int; b/y/second: int", "int", "Return the difference of two numbers.|Subtract $b from $a.", "return $a - $b", lambda a, b: -(b - a)),
    ("multiply|product|multiply_numbers", "a/x/first: int; b/y/second: int", "int", "Return the product of two numbers.|Multiply two numbers.", "return $a * $b", lambda a, b: b * a),
    ("safe_divide|divide", "a/x/numerator: int; b/y/denominator: int", "float | None", "Divide $a by $b. Return None if $b is zero.", "if $b == 0:\n    return None\nreturn $a / $b", lambda a, b: a / b if b else None),
    ("max_of_two|larger|maximum", "a/x/first: int; b/y/second: int", "int", "Return the larger of two numbers.|Return the maximum of $a and $b.", "if $a > $b:\n    return $a\nreturn $b|return $a if $a > $b else $b|if $a > $b:\n    return $a\nelse:\n    return $b", lambda a, b: max(a, b)),
    ("min_of_two|smaller|minimum", "a/x/first: int; b/y/second: int", "int", "Return the smaller of two numbers.|Return the minimum of $a and $b.", "if $a < $b:\n    return $a\nreturn $b|return $a if $a < $b else $b", lambda a, b: min(a, b)),
    ("max_of_three|largest_of_three", "a/x: int; b/y: int; c/z: int", "int", "Return the largest of three numbers.", "if $a >= $b and $a >= $c:\n    return $a\nif $b >= $c:\n    return $b\nreturn $c|return max($a, $b, $c)", lambda *v: sorted(v)[-1]),
    ("absolute_difference|distance", "a/x/first: int; b/y/second: int", "int", "Return the absolute difference of two numbers.", "return abs($a - $b)|if $a > $b:\n    return $a - $b\nreturn $b - $a", lambda a, b: max(a, b) - min(a, b)),
    ("absolute|absolute_value", "n/x/number: int", "int", "Return the absolute value of $n.", "if $n < 0:\n    return -$n\nreturn $n", abs),
    ("sign|sign_of", "n/x/number: int", "int", "Return 1 if $n is positive, -1 if it is negative and 0 if it is zero.", "if $n > 0:\n    return 1\nif $n < 0:\n    return -1\nreturn 0|if $n > 0:\n    return 1\nelif $n < 0:\n    return -1\nelse:\n    return 0", lambda n: (n > 0) - (n < 0)),
    ("square|squared", "n/x/number: int", "int", "Return the square of $n.|Return the square of a number.", "return $n * $n|return $n ** 2", lambda n: n * n),
    ("cube|cubed", "n/x/number: int", "int", "Return the cube of $n.|Return the cube of a number.", "return $n ** 3|return $n * $n * $n", lambda n: n * n * n),
    ("last_digit|units_digit", "n/number: int", "int", "Return the last digit of a positive integer.", "return $n % 10", lambda n: int(str(n)[-1])),
    ("is_multiple|is_divisible", "a/n/number: int; b/k/divisor: int", "bool", "Check if $a is divisible by $b.|Return True if $a is a multiple of $b.", "return $a % $b == 0", lambda a, b: a // b * b == a),
    ("hypotenuse", "a/x: float; b/y: float", "float", "Return the length of the hypotenuse of a right triangle.", "return ($a ** 2 + $b ** 2) ** 0.5", lambda a, b: math.pow(a * a + b * b, 0.5)),
    ("circle_area|area_of_circle", "radius/r: float", "float", "Return the area of a circle.|Compute the area of a circle with the given $radius.", "return 3.14159 * $radius ** 2", lambda r: 3.14159 * (r ** 2)),
    ("simple_interest|interest", "principal/p: int; rate/r: int; years/t: int", "float", "Return the simple interest.|Compute the simple interest for a $principal, a yearly $rate in percent and a number of years.", "return $principal * $rate * $years / 100", lambda p, r, t: (p * r * t) / 100),
    ("swap|swap_values", "a/x/first: int; b/y/second: int", "tuple[int, int]", "Return the two arguments in swapped order.", "return $b, $a", lambda a, b: tuple([b, a])),
    ("is_leap_year|leap_year", "year/y: int", "bool", "Check if a $year is a leap year.|Return True if the year is a leap year.", "return $year % 4 == 0 and ($year % 100 != 0 or $year % 400 == 0)|if $year % 400 == 0:\n    return True\nif $year % 100 == 0:\n    return False\nreturn $year % 4 == 0", lambda y: __import__("calendar").isleap(y)),
    ("in_range|is_between", "x/n/value: int; low/start: int; high/end: int", "bool", "Check if $x is between $low and $high, inclusive.", "return $low <= $x <= $high", lambda x, a, b: not (x < a or x > b)),
]


def formula(r: random.Random) -> Exercise:
    """Arithmetic on one to three numbers."""
    names, params, ret, docs, bodies, ref = r.choice(FORMULAS)
    p = parse_params(r, params)
    return Exercise(choose(r, names), p, ret, choose(r, docs), choose(r, bodies), ref,
                    [tuple(r.randint(1, 30) for _ in p) for _ in range(3)])


def percent(r: random.Random) -> Exercise:
    """Discounts, taxes and other per cent arithmetic, with a constant drawn for each exercise."""
    k = r.randint(1, 60)
    p = parse_params(r, "price/amount/cost/value: int")
    name, doc, body, ref = r.choice([
        (f"discount_{k}|price_after_discount|apply_discount", f"Return the $price after a discount of {k} percent.", f"return $price - $price * {k} / 100", lambda v: v - v * k / 100),
        (f"add_tax_{k}|price_with_tax|add_tax", f"Return the $price with {k} percent tax added.", f"return $price + $price * {k} / 100", lambda v: v + (v * k) / 100),
        (f"percent_{k}|{k}_percent_of".replace(f"{k}_p", "p"), f"Return {k} percent of $price.", f"return $price * {k} / 100", lambda v: (k * v) / 100),
        (f"add_{k}", f"Add {k} to $price.", f"return $price + {k}", lambda v: k + v),
        (f"multiply_by_{k}|times_{k}", f"Multiply $price by {k}.", f"return $price * {k}", lambda v: k * v),
        (f"subtract_{k}|minus_{k}", f"Subtract {k} from $price.", f"return $price - {k}", lambda v: v - k),
        (f"cap_at_{k}|limit_to_{k}", f"Return $price, but never more than {k}.", f"if $price > {k}:\n    return {k}\nreturn $price|return min($price, {k})", lambda v: sorted([v, k])[0]),
    ])
    return Exercise(choose(r, name), p, "float" if "percent" in doc else "int", doc, choose(r, body), ref, [(r.randint(1, 300),) for _ in range(3)])


CLASS_TOPICS = [("Account", "balance", "deposit", "withdraw", "amount"), ("Wallet", "money", "add", "spend", "amount"),
                ("Tank", "liters", "fill", "drain", "liters"), ("Player", "score", "gain", "lose", "points"),
                ("Battery", "charge", "recharge", "use", "percent"), ("Warehouse", "stock", "receive", "ship", "units"),
                ("Library", "books", "donate", "lend", "number"), ("Bus", "passengers", "board", "leave", "people"),
                ("Farm", "animals", "buy", "sell", "number"), ("Hero", "health", "heal", "damage", "points")]


def class_exercise(r: random.Random) -> str:
    """A small class: a stack, a queue, a counter, or an account-like store with two operations."""
    kind = r.choice(["store", "store", "stack", "queue", "shape", "counter"])
    a, b = r.randint(5, 50), r.randint(1, 5)
    if kind == "store":
        name, attr, up, down, arg = r.choice(CLASS_TOPICS)
        arg = arg if arg != attr else "amount"
        owner = r.choice(["name", "owner", "label"])
        return (f'class {name}:\n    """{choose(r, f"A simple {name.lower()} that keeps track of its {attr}.|Model of a {name.lower()} with some {attr}.")}\n\n'
                f"    >>> x = {name}('{r.choice(WORDS)}', {a})\n    >>> x.{up}({b})\n    >>> x.{attr}\n    {a + b}\n    \"\"\"\n\n"
                f"    def __init__(self, {owner}: str, {attr}: int = 0) -> None:\n        self.{owner} = {owner}\n        self.{attr} = {attr}\n\n"
                f'    def {up}(self, {arg}: int) -> None:\n        """Add to the {attr}."""\n        self.{attr} += {arg}\n\n'
                f'    def {down}(self, {arg}: int) -> bool:\n        """Take from the {attr}. Return False if there is not enough."""\n'
                f"        if {arg} > self.{attr}:\n            return False\n        self.{attr} -= {arg}\n        return True\n"
                + choose(r, f"|\n    def __repr__(self) -> str:\n        return f'{name}({{self.{owner}!r}}, {{self.{attr}}})'\n"))
    items, x = r.choice(["items", "data", "elements", "values"]), r.choice(["item", "value", "x"])
    if kind in ("stack", "queue"):
        name = r.choice(["Stack", "SimpleStack", "IntStack"] if kind == "stack" else ["Queue", "SimpleQueue", "WaitingLine"])
        add, take, index, which = ("push", "pop", "", "top") if kind == "stack" else ("enqueue", "dequeue", "0", "first")
        return (f'class {name}:\n    """{choose(r, f"A simple {kind} of items.|A {kind} built on a list.|A {kind} data structure.")}\n\n'
                f"    >>> s = {name}()\n    >>> s.{add}({a})\n    >>> s.{add}({b})\n    >>> s.{take}()\n    {b if kind == 'stack' else a}\n    \"\"\"\n\n"
                f"    def __init__(self) -> None:\n        self.{items} = []\n\n"
                f'    def {add}(self, {x}) -> None:\n        """Add an item to the {kind}."""\n        self.{items}.append({x})\n\n'
                f'    def {take}(self):\n        """Remove and return the {which} item."""\n        if not self.{items}:\n            return None\n        return self.{items}.pop({index})\n\n'
                + (f'    def peek(self):\n        """Return the {which} item without removing it."""\n        return self.{items}[{"-1" if kind == "stack" else "0"}]\n\n' if r.random() < 0.5 else "")
                + f'    def is_empty(self) -> bool:\n        """Check if the {kind} is empty."""\n        return len(self.{items}) == 0\n\n'
                f'    def size(self) -> int:\n        """Return the number of items."""\n        return len(self.{items})\n')
    if kind == "shape":
        name, s, t = r.choice([("Rectangle", "width", "height"), ("Box", "width", "depth"), ("Field", "length", "width"), ("Garden", "length", "width"), ("Room", "length", "width")])
        return (f'class {name}:\n    """A {name.lower()} with a {s} and a {t}.\n\n    >>> {name}({a}, {b}).area()\n    {a * b}\n    """\n\n'
                f"    def __init__(self, {s}: int, {t}: int) -> None:\n        self.{s} = {s}\n        self.{t} = {t}\n\n"
                f'    def area(self) -> int:\n        """Return the area."""\n        return self.{s} * self.{t}\n\n'
                f'    def perimeter(self) -> int:\n        """Return the perimeter."""\n        return 2 * (self.{s} + self.{t})\n'
                + choose(r, f'|\n    def is_square(self) -> bool:\n        """Check if both sides are equal."""\n        return self.{s} == self.{t}\n'))
    name = r.choice(["Counter", "Clicker", "StepCounter", "VisitCounter"])
    up = r.choice(["increment", "click", "step", "count_up"])
    return (f'class {name}:\n    """Count events, {b} at a time.\n\n    >>> c = {name}({a})\n    >>> c.{up}()\n    >>> c.{r.choice(["value"])}\n    {a + b}\n    """\n\n'
            f"    def __init__(self, start: int = 0) -> None:\n        self.value = start\n\n"
            f'    def {up}(self) -> None:\n        """Increase the value by {b}."""\n        self.value += {b}\n\n'
            f'    def reset(self) -> None:\n        """Set the value back to zero."""\n        self.value = 0\n')


FAMILIES: list[tuple[Callable[[random.Random], Exercise], float]] = [
    (list_fold, 2.4), (list_map, 0.5), (up_to_n, 0.9), (word_family, 1.5), (char_family, 1.0), (dict_family, 1.0),
    (number_check, 0.8), (classify, 0.6), (formula, 1.0), (percent, 0.4), (classic, 6.0),
]
