"""Tasks that no exercise has: what `phitools.exercises` generates is one function without imports or classes."""
from __future__ import annotations

from typing import NamedTuple


class Task(NamedTuple):
    kind: str
    name: str
    entry_point: str
    prompt: str
    solution: str
    test: str
    """Asserts on `candidate`, the entry point."""

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.name}"


TASKS = [
    Task("imports", "hypotenuse", "hypotenuse", '''import math


def hypotenuse(a: float, b: float) -> float:
    """Return the length of the longest side of a right triangle, using math."""
''', '''    return math.hypot(a, b)
''', '''    assert candidate(3, 4) == 5
    assert candidate(5, 12) == 13
'''),
    Task("imports", "most_common", "most_common", '''from collections import Counter


def most_common(words: list[str]) -> str:
    """Return the word that occurs most often, by a Counter."""
''', '''    return Counter(words).most_common(1)[0][0]
''', '''    assert candidate(["a", "b", "b"]) == "b"
    assert candidate(["x"]) == "x"
'''),
    Task("imports", "days_between", "days_between", '''from datetime import date


def days_between(first: str, second: str) -> int:
    """Return the number of days from one date to another, both given as YYYY-MM-DD."""
''', '''    return (date.fromisoformat(second) - date.fromisoformat(first)).days
''', '''    assert candidate("2024-02-28", "2024-03-01") == 2
    assert candidate("2023-01-01", "2023-01-01") == 0
'''),
    Task("imports", "numbers_in", "numbers_in", '''import re


def numbers_in(text: str) -> list[int]:
    """Return all whole numbers in a text, found by a regular expression."""
''', '''    return [int(number) for number in re.findall(r"[0-9]+", text)]
''', '''    assert candidate("7 of 12 eggs") == [7, 12]
    assert candidate("none") == []
'''),
    Task("imports", "names_of_users", "names_of_users", '''import json


def names_of_users(text: str) -> list[str]:
    """The text is JSON: a list of objects, each with a "name". Return the names in order."""
''', '''    return [user["name"] for user in json.loads(text)]
''', '''    assert candidate('[{"name": "Ada"}, {"name": "Bo"}]') == ["Ada", "Bo"]
    assert candidate("[]") == []
'''),
    Task("imports", "pairs_of", "pairs_of", '''import itertools


def pairs_of(items: list[str]) -> list[tuple[str, str]]:
    """Return all pairs of different places of the list, in order, using itertools.combinations."""
''', '''    return list(itertools.combinations(items, 2))
''', '''    assert candidate(["a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert candidate(["a"]) == []
'''),
    Task("imports", "smallest_three", "smallest_three", '''import heapq


def smallest_three(numbers: list[int]) -> list[int]:
    """Return the three smallest numbers in ascending order, using heapq."""
''', '''    return heapq.nsmallest(3, numbers)
''', '''    assert candidate([5, 1, 4, 2, 3]) == [1, 2, 3]
    assert candidate([2, 1]) == [1, 2]
'''),
    Task("imports", "root_mean_square", "root_mean_square", '''from math import sqrt
from statistics import mean


def root_mean_square(numbers: list[float]) -> float:
    """Return the square root of the mean of the squares."""
''', '''    return sqrt(mean(x * x for x in numbers))
''', '''    assert candidate([3, 3, 3]) == 3
    assert candidate([1, 7]) == 5
'''),
    Task("classes", "counter", "Tally", '''class Tally:
    """Counts how often it is called."""

    def __init__(self):
        self.count = 0

    def press(self):
        """Add one to the count and return it."""
''', '''        self.count += 1
        return self.count
''', '''    tally = candidate()
    assert tally.press() == 1
    assert tally.press() == 2
'''),
    Task("classes", "stack", "Stack", '''class Stack:
    """A stack of items."""

    def __init__(self):
        self.items = []

    def push(self, item):
        """Put an item on top."""
        self.items.append(item)

    def pop(self):
        """Remove the item on top and return it; None if there is none."""
''', '''        if not self.items:
            return None
        return self.items.pop()
''', '''    stack = candidate()
    assert stack.pop() is None
    stack.push(1)
    stack.push(2)
    assert stack.pop() == 2
    assert stack.pop() == 1
'''),
    Task("classes", "rectangle", "Rectangle", '''class Rectangle:
    """A rectangle with sides parallel to the axes."""

    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        """Return the area."""
''', '''        return self.width * self.height
''', '''    assert candidate(3, 4).area() == 12
    assert candidate(5, 0).area() == 0
'''),
    Task("classes", "account", "Account", '''class Account:
    """A bank account that is never overdrawn."""

    def __init__(self, balance):
        self.balance = balance

    def withdraw(self, amount):
        """Take the amount off the balance if there is enough; return whether it was taken."""
''', '''        if amount > self.balance:
            return False
        self.balance -= amount
        return True
''', '''    account = candidate(10)
    assert account.withdraw(7) is True
    assert account.withdraw(7) is False
    assert account.balance == 3
'''),
    Task("classes", "inheritance", "Square", '''class Shape:
    """A shape with sides."""

    def __init__(self, sides):
        self.sides = sides

    def perimeter(self):
        return sum(self.sides)


class Square(Shape):
    """A shape with four equal sides."""

    def __init__(self, side):
''', '''        super().__init__([side] * 4)
''', '''    assert candidate(3).perimeter() == 12
    assert candidate(0).perimeter() == 0
'''),
    Task("classes", "queue", "Line", '''class Line:
    """People who wait, the first one first."""

    def __init__(self):
        self.people = []

    def join(self, name):
        """Add a name at the end and return how many wait."""
''', '''        self.people.append(name)
        return len(self.people)
''', '''    line = candidate()
    assert line.join("Ann") == 1
    assert line.join("Bo") == 2
    assert line.people == ["Ann", "Bo"]
'''),
    Task("classes", "vector", "Vector", '''class Vector:
    """A vector in the plane."""

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def plus(self, other):
        """Return the sum of this vector and another as a new Vector."""
''', '''        return Vector(self.x + other.x, self.y + other.y)
''', '''    total = candidate(1, 2).plus(candidate(3, 4))
    assert total.x == 4
    assert total.y == 6
'''),
    Task("classes", "thermostat", "Thermostat", '''class Thermostat:
    """A thermostat with a lowest and a highest temperature."""

    def __init__(self, low, high):
        self.low = low
        self.high = high

    def set(self, degrees):
        """Return degrees, or the limit that it is beyond."""
''', '''        return max(self.low, min(self.high, degrees))
''', '''    thermostat = candidate(15, 25)
    assert thermostat.set(20) == 20
    assert thermostat.set(9) == 15
    assert thermostat.set(30) == 25
'''),
    Task("functions", "primes", "count_primes", '''def is_prime(n: int) -> bool:
    """Return whether n is a prime number."""
    return n > 1 and all(n % d for d in range(2, n))


def count_primes(limit: int) -> int:
    """Return how many numbers below limit are prime, using is_prime."""
''', '''    return sum(1 for n in range(limit) if is_prime(n))
''', '''    assert candidate(10) == 4
    assert candidate(2) == 0
'''),
    Task("functions", "celsius", "hottest", '''def to_celsius(fahrenheit: float) -> float:
    """Convert degrees Fahrenheit to degrees Celsius."""
    return (fahrenheit - 32) * 5 / 9


def hottest(readings: list[float]) -> float:
    """The readings are in Fahrenheit. Return the highest one in Celsius."""
''', '''    return to_celsius(max(readings))
''', '''    assert candidate([32, 212, 50]) == 100
    assert candidate([32]) == 0
'''),
    Task("functions", "palindromes", "palindromes", '''def is_palindrome(word: str) -> bool:
    """Return whether the word reads the same backwards."""
    return word == word[::-1]


def palindromes(words: list[str]) -> list[str]:
    """Return the words that are palindromes, in order."""
''', '''    return [word for word in words if is_palindrome(word)]
''', '''    assert candidate(["level", "stone", "noon"]) == ["level", "noon"]
    assert candidate([]) == []
'''),
    Task("functions", "price", "total_price", '''PRICES = {"apple": 3, "bread": 5, "milk": 2}


def price_of(item: str) -> int:
    """Return the price of an item; 0 if it is not sold."""
    return PRICES.get(item, 0)


def total_price(basket: list[str]) -> int:
    """Return the sum of the prices of what is in the basket."""
''', '''    return sum(price_of(item) for item in basket)
''', '''    assert candidate(["apple", "milk", "apple"]) == 8
    assert candidate(["gold"]) == 0
'''),
    Task("functions", "compose", "twice", '''def increase(x: int) -> int:
    """Return x plus one."""
    return x + 1


def twice(f, x: int) -> int:
    """Apply the function f to x, and then to the result."""
''', '''    return f(f(x))
''', '''    assert candidate(abs, -3) == 3
'''),
    Task("functions", "normalised", "same_word", '''def normalised(word: str) -> str:
    """Return the word without blanks around it, in lower case."""
    return word.strip().lower()


def same_word(a: str, b: str) -> bool:
    """Return whether two words are the same once they are normalised."""
''', '''    return normalised(a) == normalised(b)
''', '''    assert candidate(" Tea", "tea ") is True
    assert candidate("tea", "sea") is False
'''),
    Task("functions", "recursion", "depth", '''def is_leaf(tree: list) -> bool:
    """Return whether a tree, which is the list of its branches, has none."""
    return len(tree) == 0


def depth(tree: list) -> int:
    """Return the number of levels below the root: 0 for a leaf, else one more than the deepest branch has."""
''', '''    if is_leaf(tree):
        return 0
    return 1 + max(depth(branch) for branch in tree)
''', '''    assert candidate([]) == 0
    assert candidate([[], [[]]]) == 2
'''),
    Task("functions", "clamp", "clamp_all", '''def clamp(x: int, low: int, high: int) -> int:
    """Return x, or the limit that it is beyond."""
    return max(low, min(high, x))


def clamp_all(numbers: list[int], low: int, high: int) -> list[int]:
    """Return the numbers, each clamped."""
''', '''    return [clamp(x, low, high) for x in numbers]
''', '''    assert candidate([1, 5, 9], 2, 8) == [2, 5, 8]
    assert candidate([], 0, 1) == []
'''),
]
