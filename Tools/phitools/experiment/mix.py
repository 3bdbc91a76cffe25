"""Pack the training tokens of one arm and seed: python -m phitools.experiment.mix --pool unique:0.85
clean-exercises:0.15 --tokens 1048576 --seed 1 --tokenizer DIR --benchmark FILE... --out FOLDER

Each seed draws its own documents, and a larger budget begins with those of a smaller one. Documents that share 13 words
in a row with a benchmark's prompt are left out. A pool that is too small is an error: no document is used twice.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ..data import bpe, pack
from ..data.decontaminate import grams, problems
from ..data.steps import read
from ..durable import check_free
from ..output import command, say, show


def drawn(texts: Iterable[str], tokenizer: Tokenizer, tokens: int) -> Iterator[str]:
    """Yield texts until they have this many tokens, each with the separator; raise ValueError if they have fewer."""
    total = 0
    for batch in pack.batches(texts, 256):
        for text, encoding in zip(batch, tokenizer.encode_batch(batch)):
            if total >= tokens:
                return
            total += len(encoding.ids) + 1
            yield text
    if total < tokens:
        raise ValueError(f"holds {total} tokens, {tokens} are needed")


def draw(
        pools: list[tuple[str, list[str], float]], tokenizer: Tokenizer, tokens: int, seed: int,
        forbidden: set[str]) -> list[str]:
    """Return documents with `tokens` tokens or a few more in a random order; each pool (name, texts, share) gives its
    share of the tokens."""
    out: list[str] = []
    for name, texts, share in pools:
        place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)
        order = np.random.default_rng([seed, place]).permutation(len(texts))
        clean = (texts[i] for i in order if forbidden.isdisjoint(grams(texts[i])))
        try:
            out += drawn(clean, tokenizer, int(np.ceil(share * tokens)))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return [out[i] for i in np.random.default_rng(seed).permutation(len(out))]


@command
def main() -> int:
    top = argparse.ArgumentParser(prog="phitools.experiment.mix", description=__doc__.split("\n")[0])
    top.add_argument("--pool", nargs="+", required=True, metavar="FOLDER:SHARE")
    top.add_argument("--tokens", type=int, required=True)
    top.add_argument("--seed", type=int, required=True)
    top.add_argument("--tokenizer", type=Path, required=True)
    top.add_argument("--benchmark", type=Path, nargs="*", default=[])
    top.add_argument("--out", type=Path, required=True)
    a = top.parse_args()
    try:
        forbidden = set().union(*(grams(p.prompt) for path in a.benchmark for p in problems(path)))
        pools = []
        for pool in a.pool:
            folder, _, share = pool.rpartition(":")
            pools.append((Path(folder).name, [d.text for d in read(Path(folder))], float(share)))
        check_free(a.out, "pack")
        texts = draw(pools, bpe.load(a.tokenizer), a.tokens + 1, a.seed, forbidden)
        show(json.dumps(pack.pack(texts, a.tokenizer, a.out)))
        return 0
    except (OSError, ValueError) as error:
        say(f"phitools.experiment.mix: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
