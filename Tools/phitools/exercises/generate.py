"""The stream of exercises, and the split that holds out some families and compositions from training.

The stream depends only on the seed: choices come from Python's `random.Random`, the split from a hash of the parts'
names.
"""
from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from . import families_scalars as scalars
from . import families_sets as sets
from .draw import Draw
from .exercise import Exercise

FAMILIES: list[tuple[Callable[[Draw], Exercise | None], float]] = [
    (lambda d: sets.fold_family(d, 0, False), 0.5), (lambda d: sets.fold_family(d, 1, False), 5),
    (lambda d: sets.fold_family(d, 0, True), 2),
    (lambda d: sets.fold_family(d, 1, True), 5), (lambda d: sets.fold_family(d, 2, False), 2), (sets.quantifier, 2),
    (sets.position, 1.5),
    (sets.conditional, 2), (sets.table, 1.5), (sets.two_folds, 1.5), (scalars.steps, 2), (scalars.cases, 2),
    (scalars.arithmetic, 2),
    (scalars.pairs, 1.5), (scalars.search, 1)]

HELD_OUT_FAMILIES = frozenset({
    "filter map fold over rows", "filter fold over dict keys", "filter filter fold over digits", "all over text words",
    "conditional map over dict values",
    "3 steps of str", "pairs to ascending", "dictionary of digits", "two folds of range", "last index in words",
    "map fold over text words", "filter map fold over dict values"})
"""Families held out from training; their parts occur in other families."""

HELD_OUT_SHARE = 0.1
"""The held-out share of the other families' compositions (parts and their order)."""


def held_out_kind(family: str, composition: str) -> str:
    """Return "family" or "composition" for a held-out exercise, and "" for training."""
    if family in HELD_OUT_FAMILIES:
        return "family"
    digest = hashlib.sha256(f"{family}: {composition}".encode()).digest()
    return "composition" if int.from_bytes(digest[:8], "big") < HELD_OUT_SHARE * 2**64 else ""


def held_out(exercise: Exercise) -> str:
    """Return `held_out_kind` of an exercise."""
    return held_out_kind(exercise.family, exercise.composition)


def draw(seed: int) -> Iterator[Exercise]:
    """Yield checked exercises of both sides of the split, endlessly."""
    r = random.Random(seed)
    makers, weights = zip(*FAMILIES)
    while True:
        exercise = r.choices(makers, weights)[0](Draw(r))
        if exercise is not None:
            yield exercise


def distinct(exercises: Iterable[Any]) -> Iterator[Any]:
    """Yield those with a text that has not come before."""
    seen: set[bytes] = set()
    for exercise in exercises:
        key = hashlib.sha256(exercise.source.encode()).digest()[:12]
        if key not in seen:
            seen.add(key)
            yield exercise


def training(seed: int, count: int) -> Iterator[Exercise]:
    """Yield `count` training exercises with distinct texts."""
    return islice(distinct(e for e in draw(seed) if not held_out(e)), count)
