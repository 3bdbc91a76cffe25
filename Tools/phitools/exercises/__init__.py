"""Exercises in docstring-to-function form, from a grammar: parts (`parts_*.py`), put together by families
(`families_*.py`).

`python -m phitools.exercises --count 5 --seed 1` shows some. Everything here is the standard library's Python only.
"""
