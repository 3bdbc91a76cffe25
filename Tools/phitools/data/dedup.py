"""Removal of exact duplicates, then of near duplicates by MinHash, with datatrove's stages."""
from __future__ import annotations

import re
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup.exact_dedup import (
    ExactDedupConfig,
    ExactDedupFilter,
    ExactDedupSignature,
    ExactFindDedups,
)
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.utils.hashing import HashConfig
from datatrove.utils.text import TextNormConfig
from datatrove.utils.word_tokenizers import WordTokenizer

from .steps import Documents, Where, writer

HASH = HashConfig(precision=64, hash_fc="sha1")


class CodeWords(WordTokenizer):
    """Splits code into names, numbers and single signs, which tokenizers of prose do not."""

    def word_tokenize(self, text: str) -> list[str]:
        return re.findall(r"\w+|[^\w\s]", text)

    def sent_tokenize(self, text: str) -> list[str]:
        return text.splitlines()

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(m.start(), m.end()) for m in re.finditer(r"[^\n]+", text)]


def text_of(document: Document) -> str:
    return document.text


class Reason:
    """Makes a filter of datatrove count what it leaves out under `reason`, which a report shows."""

    reason = ""

    def stat_update(self, *labels: str, value: int = 1, unit: str | None = None) -> None:
        super().stat_update(*(self.reason if x == "dropped" else x for x in labels), value=value, unit=unit)


class ExactFilter(Reason, ExactDedupFilter):
    reason = "left out: duplicate"


class NearFilter(Reason, MinhashDedupFilter):
    reason = "left out: near duplicate"


def run(folders: list[Path], out: Path, where: Where, near: bool) -> dict[str, int]:
    """Write the folders' documents without duplicates into out/documents; the first of equal ones is kept. Return how
    many were left out."""
    work, exact = out / "logs", ExactDedupConfig(content_getter=text_of, hash_config=HASH)
    where.run([Documents(folders), ExactDedupSignature(str(work / "exact-signatures"), exact)], work / "1")
    where.run([ExactFindDedups(str(work / "exact-signatures"), str(work / "exact"), exact)], work / "2", tasks=1)
    unique = [Documents(folders), ExactFilter(str(work / "exact"), exact)]
    if not near:
        return where.run([*unique, writer(out)], work / "3")
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8, hash_config=HASH,
                           norm_config=TextNormConfig(
                               lowercase=False, norm_numbers=False, norm_weekdays=False, norm_monthnames=False,
                               remove_punctuation=False))
    where.run([*unique, MinhashDedupSignature(str(work / "signatures"), config, language=CodeWords())], work / "3")
    where.run(
        [MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)], work / "4",
        tasks=config.num_buckets)
    where.run([MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config)], work / "5", tasks=1)
    return where.run([*unique, NearFilter(str(work / "remove")), writer(out)], work / "6")
