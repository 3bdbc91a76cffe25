"""Train a byte-level BPE tokenizer like phi's and write it as Hugging Face files.

Ids 0 to 255 are the bytes, followed by the merges, then runs of 31 down to 2 spaces as added tokens, as in phi-1's
tokenizer; the last id is the special token `<|endoftext|>`, which begins, ends and separates documents.
Pre-tokenisation uses GPT-2's pattern, without a prefix space or normalisation.

The runs of spaces do more than compress. GPT-2's pattern joins the last space before a word to the word and the other
spaces to the line break ("\\n   " + " return"), so a prompt that ends in a line break would end in a token that is rare
there in training text. With runs as added tokens the line break is a token of its own in both.
"""
from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from ..durable import sync

END_OF_TEXT = "<|endoftext|>"
RUNS = [" " * n for n in range(31, 1, -1)]
LEAST, MOST = 256 + len(RUNS) + 1, 1 << 16
"""The sizes of a vocabulary: the bytes, the runs and the end of text at least; ids are packed in 16 bits."""


def train(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Train a tokenizer of exactly `vocabulary` tokens; raise ValueError if the texts have too few pairs to merge."""
    if not LEAST <= vocabulary <= MOST:
        raise ValueError(f"a vocabulary of {vocabulary} tokens is to have {LEAST} or more, at most {MOST}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary - 1 - len(RUNS), min_frequency=2, special_tokens=[],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator((part for text in texts for part in re.split("  +", text)), trainer)
    tokenizer.add_tokens([AddedToken(run, normalized=False) for run in RUNS])
    tokenizer.add_special_tokens([END_OF_TEXT])  # added last, so that it gets the last id
    if tokenizer.get_vocab_size() != vocabulary:
        raise ValueError(
            f"{tokenizer.get_vocab_size()} tokens instead of {vocabulary}: "
            "more text is needed, or a smaller vocabulary")
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, positions: int) -> None:
    """Write tokenizer.json, tokenizer_config.json, vocab.json and merges.txt; `positions` is the model's context.
    OSError, and none of them, if they cannot be written."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions,
        "clean_up_tokenization_spaces": False,
        "bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT}
    fresh = folder / ".tokenizer.new"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        tokenizer.save(str(fresh / "tokenizer.json"))
        tokenizer.model.save(str(fresh))
        (fresh / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
        for path in sorted(fresh.iterdir()):
            sync(path)
        for path in sorted(fresh.iterdir()):
            os.replace(path, folder / path.name)
    except Exception as error:  # the library's have no type
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise OSError(f"{folder}: cannot be written ({reason})") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def load(folder: Path) -> Tokenizer:
    """Load a folder's tokenizer; raise FileNotFoundError if there is none. Whoever saved it may have left it set to
    truncate or to pad texts, and it does neither here."""
    path = folder / "tokenizer.json"
    if not path.exists():
        raise FileNotFoundError(f"{path}: no tokenizer here; `python -m phitools.data tokenizer` trains one")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # its own have no type
        raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def end_of_text(tokenizer: Tokenizer) -> int:
    """Return the id of the document separator; ValueError if the tokenizer has none."""
    if (found := tokenizer.token_to_id(END_OF_TEXT)) is None:
        raise ValueError(f"the tokenizer has no token {END_OF_TEXT}")
    return int(found)


def widths(tokenizer: Tokenizer, rows: int) -> np.ndarray:
    """Return the number of bytes of text that each token stands for; 0 for special tokens. int64 [rows]"""
    found = np.zeros(rows, np.int64)
    added = tokenizer.get_added_tokens_decoder()
    for text, token in tokenizer.get_vocab().items():  # a byte-level token has a character for each byte
        found[token] = len(text) if token not in added else 0 if added[token].special else len(text.encode())
    return found
