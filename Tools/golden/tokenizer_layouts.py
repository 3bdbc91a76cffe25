#!/usr/bin/env python3
"""Write how Hugging Face encodes and decodes with many layouts of a tokenizer's files.

    python Tools/golden/tokenizer_layouts.py        (needs transformers)

Layouts are drawn from a seed: which files there are, where added tokens stand, and their flags, which may disagree.
Each is loaded by AutoTokenizer.from_pretrained beside a config.json of a phi. The result is
Tests/PhiCheckpointTests/Fixtures/tokenizer-layouts.json:

- `parts`: text that stands for its name between @ in the layouts' files: vocabularies and merges;
- `texts`: the texts that every layout encodes;
- `layouts`: `files` by name; then `ids` of each text, `decoded` of those ids without special tokens where that is not
  the text (by the text's index), `special`, all ids that are left out, and `count`, the number of tokens; or else
  `refused`, a part of the error of phi, which refuses the layout although Hugging Face reads it.
"""

import collections
import json
import os
import random
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import transformers  # noqa: E402
from tokenizers import pre_tokenizers  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "Tests/PhiCheckpointTests/Fixtures/tokenizer-layouts.json"
COUNT = 670
END = "<|endoftext|>"
WORDS = ["the", "def", "Ġthe", "Ġdef", "in", "Ġin", "ĠĠ", "ĠĠĠĠ", "aa", "aab", "im", "<|", "|>", "æĹ¥", "!!", "aqb"]
# Added tokens, chosen to overlap each other and the blanks.
POOL = [
    "  ", "   ", "    ", "\t\t", "  <|cursor|>", "\t<|hole|>", " <|hole|>", "<|im_start|>", "<|im_end|>", "im", "|>",
    "|><|", "<think>", "</think>", "def", " def", "aa", "aaa", "ab", "baa", "!", "the", "日本", "→", "start|>  ",
    "\n\n", "q", "Z",
]
TEXTS = [
    "", "the def", "x     <|cursor|>", "\t\t\t<|hole|>x", "   \t<|hole|> ", "def f():\n      <|cursor|>\n\n\n",
    "<|im_start|>user\nhi<|im_end|>\n<think>x</think><pad>", "<|im_start|>  <|im_end|><|im_end|>", "aaaabaaaab aaab",
    "  <|endoftext|>   x<|endoftext|>", "Hi! Hi!! 日本日 → é%q\0z", "aqb aZbq ZZqqZZ", "in  the    im  def   \t\t\t!!",
    "<unk><pad><mask><|extra|><|x|>", "aab" * 9 + "Z" * 12 + "b",
]
FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")


def parts():
    """Return vocabularies and merges: of all bytes, of few, each with and without <|endoftext|> and <unk>."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    few = sorted(set("".join(WORDS)) - {"q"} | set("Ġxyf():{}ĊĉhiHusr!tk/\u00c3"))
    made = {}
    for name, letters in (("all", alphabet), ("few", few)):
        vocabulary, merges = {letter: i for i, letter in enumerate(letters)}, []
        for word in WORDS:
            if set(word) <= set(letters):
                for n in range(1, len(word)):
                    if word[: n + 1] not in vocabulary:
                        vocabulary[word[: n + 1]] = len(vocabulary)
                        merges.append([word[:n], word[n]])
        made[f"{name}-merges"] = merges
        for more, tokens in (("", []), ("-end", [END]), ("-end-unk", [END, "<unk>"])):
            made[f"{name}{more}"] = vocabulary | {token: len(vocabulary) + n for n, token in enumerate(tokens)}
    return made


PARTS = parts()
TEXT_PARTS = {name: json.dumps(part) for name, part in PARTS.items()} | {
    f"{name}-merges.txt": "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in PARTS[f"{name}-merges"])
    for name in ("all", "few")}


class Layout:
    """One layout: the files, made from random choices."""

    def __init__(self, rng):
        self.rng = rng
        self.files = {}
        self.bytes = rng.choice(["all", "all", "few"])
        self.vocabulary = self.bytes + rng.choice(["", "-end", "-end", "-end-unk"])
        self.odd = rng.random() < 0.2  # flags that are not supported
        self.fast = rng.random() < 0.6
        contents = rng.sample(POOL, rng.randrange(10))
        if rng.random() < 0.6 and END not in contents:
            contents.insert(0, END)
        contents += rng.sample(["<pad>", "<mask>", "<unk>", "<|extra|>"], rng.randrange(3))
        self.config = {}
        self.tokens = self.numbered(contents)
        self.write()

    def numbered(self, contents):
        """Return the added tokens by id, as transformers would give them."""
        base = PARTS[self.vocabulary]
        tokens, following = {}, len(base)
        for content in contents:
            number = base.get(content)
            if number is None:
                number, following = following, following + 1
            tokens[number] = content
        if self.rng.random() < 0.04 and tokens:  # an id that is not the next
            number = self.rng.choice(list(tokens))
            tokens[following + self.rng.randrange(3)] = tokens.pop(number)
        return dict(sorted(tokens.items()))

    def flags(self, content):
        special = self.rng.random() < (0.7 if "<" in content else 0.2)
        flags = {"content": content, "special": special,
                 "normalized": self.rng.random() < 0.2 if special else self.rng.random() < 0.8}
        return flags | {flag: True for flag in FLAGS[2:] if self.odd and self.rng.random() < 0.1}

    def role(self, content):
        """Return a token as the value of a role: a string, or an object."""
        if self.rng.random() < 0.6:
            return content
        flags = self.flags(content)
        del flags["special"]
        return {"__type": "AddedToken", **flags}

    def roles(self):
        found = {}
        for role in ("bos_token", "eos_token", "unk_token", "pad_token", "mask_token", "image_token"):
            if self.rng.random() < 0.35:
                choices = [*self.tokens.values(), END, "<pad>", "<|x|>"]
                found[role] = self.role(self.rng.choice(choices)) if self.rng.random() < 0.9 else None
        if isinstance(found.get("image_token"), dict) or found.get("image_token", "") is None:
            del found["image_token"]
        return found

    def extras(self, key):
        """Return tokens without a role of their own, or with roles that only this tokenizer has."""
        if key == "extra_special_tokens" and self.rng.random() < 0.3:
            return {"hole_token": self.rng.choice([*self.tokens.values(), "<|x|>"])}
        return [self.rng.choice([*self.tokens.values(), "<|extra|>", "<|x|>"]) for _ in range(self.rng.randrange(1, 3))]

    def write(self):
        rng = self.rng
        if self.fast:
            self.files["tokenizer.json"] = self.tokenizer_json()
        else:
            self.files["vocab.json"] = f"@{self.vocabulary}@"
            self.files["merges.txt"] = f"@{self.bytes}-merges.txt@"
        if not self.fast and rng.random() < 0.7 or rng.random() < 0.2:
            some = {content: number for number, content in self.tokens.items() if rng.random() < 0.95}
            self.files["added_tokens.json"] = json.dumps(some)
        if rng.random() < 0.85:
            name = rng.choice(["CodeGenTokenizer", "CodeGenTokenizer", "GPT2TokenizerFast", "PreTrainedTokenizerFast",
                               "TokenizersBackend", None])
            if not self.fast and name in ("PreTrainedTokenizerFast", "TokenizersBackend"):
                name = "GPT2Tokenizer"
            if name:
                self.config["tokenizer_class"] = name
            self.config |= self.roles()
            if rng.random() < 0.5:
                self.config["added_tokens_decoder"] = {
                    str(number): self.flags(content) for number, content in self.tokens.items() if rng.random() < 0.98}
            if rng.random() < 0.3:
                key = rng.choice(["additional_special_tokens", "extra_special_tokens"])
                self.config[key] = self.extras(key)
            for option, chance in (("add_prefix_space", 0.04), ("add_bos_token", 0.06), ("split_special_tokens", 0.02)):
                if rng.random() < 0.3:
                    self.config[option] = rng.random() < chance / 0.3
            self.files["tokenizer_config.json"] = json.dumps(self.config)
        if rng.random() < 0.5:
            names = self.roles()
            for value in names.values():
                if isinstance(value, dict):
                    del value["__type"]
            if rng.random() < 0.3:
                key = rng.choice(["additional_special_tokens", "extra_special_tokens"])
                names[key] = self.extras(key)
            self.files["special_tokens_map.json"] = json.dumps(names)

    def tokenizer_json(self):
        rng = self.rng
        byte_level = {"type": "ByteLevel", "add_prefix_space": rng.random() < 0.04, "trim_offsets": True,
                      "use_regex": True}
        unknown = "<unk>" if self.vocabulary.endswith("unk") and rng.random() < 0.6 else None
        model = {"type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": "",
                 "end_of_word_suffix": "", "fuse_unk": rng.random() < 0.2, "byte_fallback": False}
        return json.dumps({
            "version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": number, **dict.fromkeys(FLAGS, False), **self.flags(content)}
                             for number, content in self.tokens.items()],
            "normalizer": None, "pre_tokenizer": byte_level, "decoder": byte_level,
            "post_processor": byte_level if rng.random() < 0.8 else None,
            "model": {**model, "vocab": f"@{self.vocabulary}@", "merges": f"@{self.bytes}-merges@"},
        }).replace('"@', "@").replace('@"', "@")

    def unlisted(self, roles):
        """Return the tokens of roles that have no id in any file."""
        listed = set(PARTS[self.vocabulary]) | set(self.tokens.values() if self.fast else [])
        if "added_tokens_decoder" in self.config:
            if roles["class"] != "TokenizersBackend":
                listed = set(PARTS[self.vocabulary])
            listed |= {token["content"] for token in self.config["added_tokens_decoder"].values()}
        elif "added_tokens.json" in self.files:
            listed |= set(json.loads(self.files["added_tokens.json"]))
        standard = {value for key, value in roles.items() if key not in ("image_token", "hole_token")}
        return set(roles.values()) - standard - listed

    def refused(self, tokenizer):
        """Return a part of phi's error, or None if phi reads this layout as Hugging Face does."""
        if self.config.get("add_prefix_space"):
            return "add_prefix_space is set"
        if self.config.get("split_special_tokens"):
            return "split_special_tokens is set"
        if not self.fast and self.config.get("add_bos_token"):
            return "add_bos_token is set"
        if tokenizer.backend_tokenizer.pre_tokenizer.add_prefix_space:
            return "add_prefix_space is set"
        found = tokenizer.added_tokens_decoder
        ids = {token.content: number for number, token in found.items()}
        listed = []
        if "added_tokens_decoder" in self.config:
            listed = [(int(number), token["content"]) for number, token in self.config["added_tokens_decoder"].items()]
        else:
            # Where the ids of tokenizer.json count, they count as given.
            if type(tokenizer).__name__ != "TokenizersBackend":
                if "added_tokens.json" in self.files:
                    listed = [(number, token) for token, number in json.loads(self.files["added_tokens.json"]).items()]
                if self.fast:
                    listed += self.tokens.items()
        if any(ids.get(content) != number for number, content in listed):
            return " id"
        roles = tokenizer.special_tokens_map | {"class": type(tokenizer).__name__}
        if len({roles[key] for key in ("image_token", "hole_token") if key in roles} & self.unlisted(roles)) > 1:
            return "a role of its own"
        model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
        if model["unk_token"] and model["fuse_unk"] and self.bytes == "few":
            return "fuse_unk is set"
        for token in found.values():
            for flag in FLAGS[2:]:
                if getattr(token, flag):
                    return "of added token"
        return None


def contents(text):
    """Return a file's text with the parts in place of their names."""
    for name, part in TEXT_PARTS.items():
        text = text.replace(f"@{name}@", part)
    return text


def main():
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    rng = random.Random(20)
    layouts, failed = [], collections.Counter()
    while len(layouts) < COUNT:
        layout = Layout(rng)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "config.json").write_text('{"model_type": "phi"}')
            for file, text in layout.files.items():
                (folder / file).write_text(contents(text))
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder)
                ids = [tokenizer(text).input_ids for text in TEXTS]
            except BaseException as error:  # Hugging Face reads no such layout, or panics, which is no Exception.
                if isinstance(error, KeyboardInterrupt):
                    raise
                failed[f"{type(error).__name__}: {str(error)[:60]}"] += 1
                continue
        made = {"files": layout.files}
        if reason := layout.refused(tokenizer):
            layouts.append(made | {"refused": reason})
            continue
        decoded = [tokenizer.decode(found, skip_special_tokens=True) for found in ids]
        everything = range(len(tokenizer))
        special = [number for number in everything if number in tokenizer.added_tokens_decoder
                   and tokenizer.decode([number], skip_special_tokens=True) == ""]
        layouts.append(made | {
            "count": len(tokenizer), "ids": ids, "special": special,
            "decoded": {str(n): text for n, text in enumerate(decoded) if text != TEXTS[n]}})
    lines = ",\n".join(json.dumps(layout, ensure_ascii=False, separators=(",", ":")) for layout in layouts)
    OUT.write_text(
        f'{{"transformers": "{transformers.__version__}", "parts": {json.dumps(TEXT_PARTS)},\n'
        f'"texts": {json.dumps(TEXTS)}, "layouts": [\n{lines}\n]}}\n')
    print(f"{len(layouts)} layouts, refused:", collections.Counter(layout.get("refused") for layout in layouts))
    print("not read by Hugging Face:", failed)


if __name__ == "__main__":
    main()
