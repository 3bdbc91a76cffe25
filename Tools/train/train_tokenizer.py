"""Train a byte-level BPE tokenizer in GPT-2's manner on the corpus.

    python Tools/train/train_tokenizer.py --corpus build/train/corpus/train.jsonl --out build/train/tokenizer

Cost: seconds. Expect `tokenizer.json`, `tokenizer_config.json`, `vocab.json` and `merges.txt`.

4096 tokens: ids 0..255 are the bytes, then merges; ids 4065..4094 are runs of 31 down to 2 spaces, added tokens as in
phi-1's tokenizer; the last id, 4095, is `<|endoftext|>`, which is begin, end and separator of documents. GPT-2's split
pattern, no prefix space, nothing normalised, every byte can be encoded.

The runs of spaces are not there for compression alone. GPT-2's pattern gives the last space before a word to the word
and the rest to the line break ("\\n   " + " return"), so a prompt that ends in a line break would end in a token that
training text almost never shows there. With the runs cut out first, the line break stands alone in both.
"""
from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

EOS = "<|endoftext|>"
RUNS = [" " * n for n in range(31, 1, -1)]


def texts(path: Path) -> Iterator[str]:
    with open(path, encoding="utf-8") as f:
        for line in f:
            yield json.loads(line)["text"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocab", type=int, default=4096)
    args = parser.parse_args()

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=args.vocab - 1 - len(RUNS), min_frequency=2, special_tokens=[],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    parts = (part for text in texts(args.corpus) for part in re.split("  +", text))
    tokenizer.train_from_iterator(parts, trainer)
    tokenizer.add_tokens([AddedToken(run, normalized=False) for run in RUNS])
    tokenizer.add_special_tokens([EOS])  # after everything else, so that it takes the last id
    assert tokenizer.get_vocab_size() == args.vocab and tokenizer.token_to_id(EOS) == args.vocab - 1

    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=EOS, eos_token=EOS, unk_token=EOS,
                                   model_max_length=1024, clean_up_tokenization_spaces=False)
    args.out.mkdir(parents=True, exist_ok=True)
    fast.save_pretrained(args.out)
    config = args.out / "tokenizer_config.json"  # name a class that older versions of transformers know too
    config.write_text(json.dumps({**json.loads(config.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}, indent=2) + "\n")
    tokenizer.model.save(str(args.out))
    sample = bytes(range(256)).decode("latin-1") + "def f(x):\n\treturn '\u00e9\u4e2d\U0001f600'\n"
    assert fast.decode(fast(sample)["input_ids"]) == sample
    prompt, body = "def f():\n", "    return 1\n"
    assert fast(prompt + body)["input_ids"] == fast(prompt)["input_ids"] + fast(body)["input_ids"]
    ids = [len(e.ids) for e in tokenizer.encode_batch(list(texts(args.corpus)))]
    print(f"{args.vocab} tokens, {EOS} = {args.vocab - 1}; corpus: {len(ids)} documents, {sum(ids)} tokens")


if __name__ == "__main__":
    main()
