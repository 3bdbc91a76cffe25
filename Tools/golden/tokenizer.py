"""Write golden ids by `tokenizers` to Tests/PhiTokenizerTests/Goldens.

    python Tools/golden/tokenizer.py DATA

small.json      two small tokenizers, trained here, with texts and their ids, for tests that always run
classes.json    a tokenizer whose ids reveal the pre-token boundaries of GPT-2's pattern; hashes over all code points
codegen.json    hashes of phi-1's tokenizer's ids of random documents, HumanEval and MBPP

DATA is a folder with codegen-tokenizer/tokenizer.json, HumanEval.jsonl.gz and mbpp.jsonl, the tests' SWIFT_PHI_DATA.
A hash is 64-bit FNV-1a over the ids as little-endian 32-bit integers, with -1 after each document.
"""

import argparse
import gzip
import json
import pathlib
import struct
import sysconfig

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from documents import SplitMix64, document

SEED = 20230620  # the day the paper appeared
MODULES = ("argparse.py", "ast.py", "heapq.py", "random.py", "statistics.py", "textwrap.py")
FOREIGN = """
Ein Größenvergleich ist möglich. L'été dernier, une naïve façade.
Простые числа делятся только на себя. Слово за слово.
日本語のテキストと日本の文字。 한국어 문장입니다 한국어. עברית היא שפה.
العربية لغة جميلة. हिन्दी में लिखा हुआ। ٠١٢٣ ٤٥٦ ½ ² Ⅳ € — ’s “quoted”
👨‍👩‍👧‍👦 ❤️ 😀😁😂 🇦🇧 éé
""" * 20
WHITE = [" " * n for n in range(31, 1, -1)] + ["\t" * n for n in range(9, 1, -1)]
# None may equal a byte's token in the byte-level alphabet, like "a" or "é": `tokenizers` would give both the same id.
OVERLAPPING = ["ab", "abcd", "bc", "cde", "ef", "ee", "日本", "本", "  a", "<|", "<<|e", "\n\n", " \n", "\x00", "\xa0 "]
TEXTS = (
    ["", " ", "\t", "\n", "\r\n", "a", "é", "\x00", "\x00\x00a\x00", "\ufeff", "\ufffd", "\U0010ffff"]
    + ["a\u0301", "\u0301"]
    + [" " * n + tail for n in range(0, 71) for tail in ("", "x")]
    + ["\t" * n + tail for n in range(1, 21) for tail in ("", " x")]
    + ["\n" * n + tail for n in range(1, 6) for tail in ("", " x", "x")]
    + ["x" + " \t" * n + "  \n" for n in range(8)]
    + ["it's I'm we're you've he'll she'd can't", "IT'S 'S 's''s !'s 're're 'r 'l 'll", "\u2019s don\u2019t"]
    + ["'", "''", "' s", "<|endoftext|>", "  <|endoftext|>  ", "<|endoftext|><|endoftext|>x", "<|endoftex"]
    + ["a<|endoftext|", "<<|endoftext|>>", "a\u00a0b", "a \u00a0b", "a\u2003\u2003 b", "\u3000x", "a\u200bb"]
    + [
        "a\u0085b", "\x1c\x1d\x1e\x1f", "a\x0bb\x0cc", "abcabcdabcdef", "aababcbcdcde", "日本日本本日", "é e\u0301",
        " a  a   a"]
    + [" \n\n \n\n\n", "<<|<|e", "12ab34 ½²Ⅳ٣", "👨\u200d👩\u200d👧", "❤\ufe0f", "🇦🇧🇨", "x" * 33, "ab" * 40]
    + ["return " * 9, "e" * 15 + "f", "=" * 64, "0" * 70]
    + ["def f(n):\n\treturn [i  for i in range(2, n)\n\t\t\tif n % i == 0]\n\n\nclass  A: pass  # end\n   "]
)


def bytes_of(text):
    """Decode a text in GPT-2's byte-level alphabet."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    table = {chr(byte): byte for byte in plain} | {chr(256 + index): byte for index, byte in enumerate(others)}
    return bytes(table[character] for character in text)


def byte_level(model):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


def fold(hash, ids):
    for byte in struct.pack(f"<{len(ids) + 1}i", *ids, -1):
        hash = (hash ^ byte) * 0x100000001B3 % 2**64
    return hash


def hash_of(tokenizer, texts):
    hash = 0xCBF29CE484222325
    for text in texts:
        hash = fold(hash, ids(tokenizer, text))
    return f"{hash:016x}"


def hashes_of_documents(tokenizer, groups, per_group):
    random = SplitMix64(SEED)
    return [hash_of(tokenizer, [document(random) for _ in range(per_group)]) for _ in range(groups)]


def vocabulary(tokenizer):
    """Return tokens in hexadecimal, merges and added tokens in the form of `Vocabulary`."""
    model = json.loads(tokenizer.to_str())["model"]
    added = tokenizer.get_added_tokens_decoder()
    tokens = [b""] * tokenizer.get_vocab_size()
    for text, number in model["vocab"].items():
        tokens[number] = bytes_of(text)
    for number, token in added.items():
        tokens[number] = token.content.encode()
    return {
        "tokens": [token.hex() for token in tokens],
        "merges": [[model["vocab"][text] for text in (left, right, left + right)] for left, right in model["merges"]],
        "added": [[number, int(token.special)] for number, token in added.items()],
    }


def trained(extra):
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    tokenizer = byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[], show_progress=False
    )
    tokenizer.train_from_iterator([FOREIGN, *((library / name).read_text() for name in MODULES)], trainer)
    # With normalized=False all added tokens are matched in a single pass, as specified.
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", normalized=False)])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in extra])
    return tokenizer


def small(extra):
    tokenizer = trained(extra)
    cases = [{"text": text, "ids": ids(tokenizer, text)} for text in TEXTS]
    tokenizer.encode_special_tokens = True
    for case in cases:
        plain = ids(tokenizer, case["text"])
        if plain != case["ids"] and extra is WHITE:
            case["plain"] = plain
    tokenizer.encode_special_tokens = False
    random = SplitMix64(SEED)
    count = tokenizer.get_vocab_size()
    decodes = []
    for _ in range(150):
        chosen = [random.below(count) if random.below(2) else 128 + random.below(128) for _ in range(random.below(12))]
        decodes.append({"ids": chosen, "text": tokenizer.decode(chosen, skip_special_tokens=False)})
    return vocabulary(tokenizer) | {
        "cases": cases,
        "decodes": decodes,
        "documentsPerHash": 50,
        "documents": hashes_of_documents(tokenizer, 40, 50),
    }


def classes():
    """Return a tokenizer that merges a character of each class with every first byte of a sequence. They remain
    unmerged only in different pre-tokens."""
    alphabet = {bytes_of(character)[0]: character for character in pre_tokenizers.ByteLevel.alphabet()}
    vocab = {alphabet[byte]: byte for byte in range(256)}
    merges = []
    for character in b"!a1\t":
        for second in [*range(0x80), *range(0xC2, 0xF5)]:
            merges.append((alphabet[character], alphabet[second]))
            vocab[alphabet[character] + alphabet[second]] = len(vocab)
    tokenizer = byte_level(models.BPE(vocab=vocab, merges=merges))
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    blocks = [codes[start : start + 4096] for start in range(0, len(codes), 4096)]
    texts = ["".join(f"!{chr(code)}a{chr(code)}1{chr(code)}\t{chr(code)}\n" for code in block) for block in blocks]
    return vocabulary(tokenizer) | {"codesPerHash": 4096, "hashes": [hash_of(tokenizer, [text]) for text in texts]}


def codegen(data):
    tokenizer = Tokenizer.from_file(str(data / "codegen-tokenizer" / "tokenizer.json"))
    with gzip.open(data / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as file:
        human = [json.loads(line) for line in file if line.strip()]
    with open(data / "mbpp.jsonl", encoding="utf-8") as file:
        mbpp = [json.loads(line) for line in file if line.strip()]
    return {
        "documentsPerHash": 10,
        "documents": hashes_of_documents(tokenizer, 1000, 10),
        "humanEval": [hash_of(tokenizer, [task["prompt"], task["canonical_solution"], task["test"]]) for task in human],
        "mbpp": [hash_of(tokenizer, [task["text"], task["code"], *task["test_list"]]) for task in mbpp],
    }


def write(folder, name, value):
    value = {"tokenizers": tokenizers.__version__, "seed": SEED} | value
    (folder / name).write_text(json.dumps(value, indent=None, separators=(",", ":")).replace("},{", "},\n{") + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=pathlib.Path)
    data = arguments.parse_args().data
    folder = pathlib.Path(__file__).parents[2] / "Tests" / "PhiTokenizerTests" / "Goldens"
    folder.mkdir(exist_ok=True)
    write(folder, "small.json", {"white": small(WHITE), "overlapping": small(OVERLAPPING)})
    write(folder, "classes.json", classes())
    write(folder, "codegen.json", codegen(data))


if __name__ == "__main__":
    main()
