"""Makes Tests/PhiTests/Goldens/regexes.json: random regular expressions, texts, and which of them Python's re matches.

    python3 Tools/golden/regexes.py > Tests/PhiTests/Goldens/regexes.json
"""
import json
import random
import re

ATOMS = (
    "a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", "é", "[é-ü]", "😀",
    "[😀-😂x]", "1", " ", r"\n", r"\.", r"[\]\-a]", r"[^\s]", "[]a]", "[a-]", r"\x41", r"\u00e9", "{", "[^é]", "a{,}",
)
QUANTIFIERS = ("*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "+?", "{0}")
CHARACTERS = "abcd1 \nxAé😀ü.]-{_,}"


def pattern(draw: random.Random, depth: int) -> str:
    kind = draw.random()
    if depth == 0 or kind < 0.35:
        return draw.choice(ATOMS)
    if kind < 0.6:
        return "".join(pattern(draw, depth - 1) for _ in range(draw.randint(0, 3)))
    if kind < 0.75:
        alternatives = [pattern(draw, depth - 1) for _ in range(draw.randint(1, 3))]
        return "(" + draw.choice(("", "?:", "?P<name>")) + "|".join(alternatives) + ")"
    return "(?:" + pattern(draw, depth - 1) + ")" + draw.choice(QUANTIFIERS)


def main() -> None:
    draw = random.Random(1)
    cases = []
    while len(cases) < 600:
        text = pattern(draw, 4)
        try:
            compiled = re.compile(text, re.ASCII)
        except re.error:
            continue
        texts = {"".join(draw.choice(CHARACTERS) for _ in range(draw.randint(0, 5))) for _ in range(200)}
        matches = [text for text in sorted(texts) if compiled.fullmatch(text)][:8]
        others = [text for text in sorted(texts) if not compiled.fullmatch(text)][:8]
        cases.append({"pattern": text, "matches": matches, "others": others})
    print("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]")


if __name__ == "__main__":
    main()
