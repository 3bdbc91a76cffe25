"""A generator of random documents, identical to Tests/PhiTokenizerTests/RandomDocuments.swift for the same seed.

Documents consist of difficult cases for tokenizers: white space of all kinds and lengths, contractions, digits and
letters of many scripts, punctuation, emoji, control characters, parts of added tokens, arbitrary code points.
"""

WORDS = (
    "def", "return", "self", "print", "import", "the", "Prime", "n", "x1", "naïve", "größe", "слово", "日本", "한국어",
    "עברית",
)
TAILS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", "''", "'r", "'l", "\u2019s", "'em")
MARKS = (
    "==", "!=", "->", "():", "\"\"\"", "#", "...", "<|endoftext|>", "<|endoftext", "|>", "<<|endoftext|>>", "\\n", "€",
    "—", "½",
)
SPACES = (
    0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x180E, 0x2000, 0x2003, 0x200A, 0x200B,
    0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF,
)
DIGITS = (0x30, 0x660, 0x966, 0xFF10, 0x1D7CE, 0xB2, 0x2160, 0x3021)
EMOJI = (0x1F600, 0x1F468, 0x200D, 0x1F469, 0xFE0F, 0x2764, 0x1F1E6, 0x1F3FB, 0x1FAE0)


class SplitMix64:
    """The generator of Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return (z ^ z >> 31) % limit


def scalar(random, limit):
    code = random.below(limit)
    return chr(code + 0x800) if code >= 0xD800 else chr(code)  # no surrogates


def fragment(random):
    kind = random.below(18)
    if kind == 0:
        return " " * random.below(71)
    if kind == 1:
        return "\t" * random.below(12)
    if kind == 2:
        return "\n" * (1 + random.below(3)) + " " * (4 * random.below(5))
    if kind == 3:
        return "".join(" \t\n\r"[random.below(4)] for _ in range(random.below(9)))
    if kind == 4:
        return "".join(chr(SPACES[random.below(len(SPACES))]) for _ in range(1 + random.below(4)))
    if kind in (5, 6):
        return " " * random.below(2) + WORDS[random.below(len(WORDS))]
    if kind == 7:
        return TAILS[random.below(len(TAILS))]
    if kind in (8, 9):
        return " " * random.below(2) + MARKS[random.below(len(MARKS))]
    if kind == 10:
        return "".join(chr(DIGITS[random.below(len(DIGITS))] + random.below(10)) for _ in range(1 + random.below(3)))
    if kind == 11:
        return "".join(chr(EMOJI[random.below(len(EMOJI))] + random.below(2)) for _ in range(1 + random.below(5)))
    if kind == 12:
        return "e" + "".join(chr(0x300 + random.below(0x70)) for _ in range(random.below(4)))
    if kind == 13:
        return chr(random.below(0x20))
    if kind == 14:
        return "".join(chr(0x21 + random.below(0x5E)) for _ in range(random.below(40)))
    if kind == 15:
        return "".join(scalar(random, 0x3000) for _ in range(1 + random.below(4)))
    if kind == 16:
        return "".join(scalar(random, 0x10000 - 0x800) for _ in range(1 + random.below(4)))
    return "".join(scalar(random, 0x110000 - 0x800) for _ in range(1 + random.below(4)))


def document(random):
    return "".join(fragment(random) for _ in range(random.below(24)))
