"""Derives the codes of q3 (Sources/CPhiKernels/encodings/q3.h): of all sets of eight of q4's sixteen codes, those that
round Gaussian weights with the least squared error, factors and scales found as the encoder finds them.

    python Tools/golden/q3_codes.py

Prints the best sets with their relative error (root mean square) and how much their squared error exceeds the least.
All 12,870 are tried on few rows, the better ones on more.
"""
from __future__ import annotations

from itertools import combinations

import numpy as np

SCALES = 0.84 + 0.06 * np.arange(5)
STAGES = ((48, 200), (500, 20), (4000, 6))
"""Rows of 256 weights, and how many sets are left after them."""


def errors(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the squared error of each row."""
    bounds = (codes[1:] + codes[:-1]) / 2
    groups, squares = rows.reshape(len(rows), 16, 16), (rows ** 2).sum(1)
    largest = np.take_along_axis(groups, np.abs(groups).argmax(2, keepdims=True), 2)[..., 0]
    best = squares.copy()
    for step in SCALES:
        scale = np.abs(rows).max(1) / (64 * step)
        product, power, least = np.zeros(groups.shape[:2]), np.zeros(groups.shape[:2]), (groups ** 2).sum(2)
        for divisor in (-8, 7):
            middle = np.clip(np.rint(largest / scale[:, None] / divisor), -8, 7)
            for offset in (-1, 0, 1):
                factor = np.clip(middle + offset, -8, 7)
                unit = scale[:, None] * factor
                inverse = np.divide(1, unit, out=np.zeros_like(unit), where=unit != 0)
                levels = factor[..., None] * codes[np.searchsorted(bounds, groups * inverse[..., None], side="right")]
                heavy, light = (levels * groups).sum(2), (levels ** 2).sum(2)
                error = scale[:, None] * (scale[:, None] * light - 2 * heavy) + (groups ** 2).sum(2)
                better = error < least
                least = np.where(better, error, least)
                product, power = np.where(better, heavy, product), np.where(better, light, power)
        power = power.sum(1)
        fitted = np.divide(product.sum(1), power, out=np.zeros_like(power), where=power > 0)
        best = np.minimum(best, squares + fitted * (fitted * power - 2 * product.sum(1)))
    return best


def main() -> None:
    random = np.random.default_rng(0)
    sets = list(combinations(range(-8, 8), 8))
    for count, left in STAGES:
        rows = random.standard_normal((count, 256)).astype(np.float32)
        found = {codes: errors(np.array(codes, np.float32), rows) for codes in sets}
        sets = sorted(sets, key=lambda codes: found[codes].sum())[:left]
    power = (rows ** 2).sum()
    for codes in sets:
        difference = found[codes] - found[sets[0]]
        print(f"{codes}: {np.sqrt(found[codes].sum() / power):.5f}, "
              f"squares {difference.sum() / power:.6f} +- {difference.std() * len(rows) ** 0.5 / power:.6f} more")


if __name__ == "__main__":
    main()
