"""Sentences that ask for a task, in the words of documentation, of MBPP's prompts, and of people in a hurry."""
from __future__ import annotations

import random
import re

from .kinds import KINDS
from .table import Parameter, Task

# {p} is the phrase, {a} the arguments ("a list of numbers nums and a number k"), {c} the clause's subject inverted.
NOUN = """Return {p}.|Return {p}.|Return {p}.|Returns {p}.|Find {p}.|Get {p}.|Calculate {p}.|Compute {p}.|Finds {p}.|{p}.
Calculates {p}.|Computes {p}.|What is {p}?|Write a function to find {p}.|Write a python function to find {p}.
Write a function to get {p}.|Write a function that returns {p}.|Write a python function to return {p}.
Write a function to find {p}.|Write a python function to get {p}.|Write a function to compute {p}.
Function that returns {p}.|This function returns {p}.|Create a function that returns {p}.|Implement a function to find {p}.
Given {a}, return {q}.|Given {a}, find {q}.|You are given {a}. Return {q}.|Takes {a} and returns {q}.
Write a function that takes {a} and returns {q}.|Write a function that, given {a}, returns {q}.|For {a}, return {q}.
i want {p}|give me {p}|gives {p}|I need {p}|function to get {p}|how do i get {p}?|tells you {p}|Output {p}.|Gives back {p}."""
MANY = """Return {p}.|Find {p}.|Find out {p}.|{p}?|Tell {p}.|Returns {p}.|Write a function to find {p}.|Write a function that tells {p}.
Given {a}, find out {q}.|Given {a}, return {q}.|I want to know {p}|tells me {p}|Write a python function to find out {p}."""
CLAUSE = """Check if {p}.|Return True if {p}, False otherwise.|Returns True if {p}, otherwise False.|Return whether {p}.
Check whether {p}.|Checks if {p}.|Determine if {p}.|Return True if {p}.|Test whether {p}.|{c}?|Tells whether {p}.
Write a function to check if {p}.|Write a python function to check whether {p}.|Write a function to check whether {p} or not.
Write a python function to check if {p} or not.|Write a function that returns True if {p}, and False otherwise.
Write a python function to determine whether {p}.|Write a function that checks if {p}.|Function that checks whether {p}.
Given {a}, check if {q}.|Given {a}, return True if {q}.|Given {a}, determine whether {q}.|Takes {a} and checks if {q}.
You are given {a}. Return True if {q}, and False otherwise.|This function checks if {p}.|See if {p}.
true if {p}|tell me if {p}|is it true that {p}?|i want to know if {p}|{c}|check if {p} please|say if {p}"""
ORDER = """{P}.|{P}.|{P}.|{T}.|{T}.|{P} and return the result.|Write a function to {p}.|Write a python function to {p}.
Write a function to {p}.|Write a function that {t}.|Write a python function that {t}.|Function that {t}.|This function {t}.
Function to {p}.|Create a function to {p}.|Implement a function that {t}.|Given {a}, {q}.|You are given {a}. {Q}.
Write a function that takes {a} and {u}.|Takes {a} and {u}.|Given {a}, {q} and return the result.
I want to {p}|how to {p}|{p}|please {p}|function which {t}|this should {p}|{t}|need to {p}"""
ASIS = "{p}|{P}."
REQUESTS = 0.45
"""Of the texts for a task that has requests as a beginner words them, the share of those."""
TEMPLATES = {mark: [t for line in text.split("\n") for t in line.split("|")] for mark, text in (
    ("-", NOUN), ("how", MANY), ("?", CLAUSE), ("!", ORDER), ("~", ASIS))}
AFTER_NAME = "and|is|in|or|are|at|as|if|into|on|of|also|occurs|added|element by|equals|only|appears|even\\?|odd\\?"
"""Words before which "a" is a parameter's name."""
IRREGULAR = {"dictionary": "dictionaries", "matrix": "matrices", "list": "lists"}


def twins(wording: str) -> list[str]:
    """Return the names of the wordings that have the same words as this one, itself included: lists of templates have
    frequent ones several times."""
    mark, phrase, number = re.fullmatch(r"(\D+)(\d+)\.(\d+)", wording).groups()
    texts = TEMPLATES[mark]
    return [f"{mark}{phrase}.{n}" for n, text in enumerate(texts) if text == texts[int(number)]]


def choose(r: random.Random, text: str) -> str:
    """Replace each [a|b] by one of its alternatives; the innermost first."""
    while re.search(r"\[([^\[\]]*\|[^\[\]]*)\]", text):
        text = re.sub(r"\[([^\[\]]*\|[^\[\]]*)\]", lambda m: r.choice(m[1].split("|")), text)
    return re.sub(" +", " ", text).strip()


def third(order: str) -> str:
    """Return an imperative in the third person: "remove" becomes "removes"."""
    verb, _, rest = order.partition(" ")
    ends = "es" if re.search(r"(s|x|z|ch|sh|o)$", verb) else "s"
    verb = re.sub(r"(?<=[^aeiou])y$", "ie", verb) + ("s" if re.search(r"[^aeiou]y$", verb) else ends)
    return re.sub(r"\b(and|then) (return|sort|join|add|keep)\b", r"\1 \2s", f"{verb} {rest}")


def inverted(clause: str) -> str:
    """Return a clause as a question, without its mark."""
    match = re.match(r"(.*?) (is|are|has|have|can|contains|contain|starts|ends|was) (.*)", clause)
    if not match:
        return f"is it so that {clause}"
    subject, verb, rest = match.groups()
    if verb in ("is", "are", "can", "was"):
        return f"{verb} {subject} {rest}"
    return f"{'do' if verb in ('have', 'contain') else 'does'} {subject} {'have' if verb == 'has' else verb.rstrip('s')} {rest}"


def plural(noun: str) -> str:
    head, of, rest = noun.partition(" of ")
    start, _, last = head.rpartition(" ")
    return f"{start} {IRREGULAR.get(last, last + 's')}{of}{rest}".strip()


def is_plural(noun: str) -> bool:
    """Return whether a parameter's name, such as `prices`, is a plural."""
    return bool(re.search(r"[^su]s$", noun)) and " " not in noun


class Words:
    """The words for a task's parameters in one exercise."""

    def __init__(self, r: random.Random, task: Task, names: dict[str, str], named: bool) -> None:
        self.r, self.task, self.names, self.named = r, task, names, named
        self.nouns = {p.name: self._noun(p) for p in task.parameters}

    def given(self, p: Parameter) -> str:
        """Return the noun as something that is given: "a given number", "the given prices"."""
        return f"{'the' if is_plural(self.nouns[p.name]) else 'a'} given {self.nouns[p.name]}"

    def _noun(self, p: Parameter) -> str:
        name = self.names[p.name]
        return name.replace("_", " ") if p.described and len(name) > 2 else self.r.choice(p.kind.nouns.split("|"))

    def mention(self, p: Parameter, introduced: bool = False) -> str:
        name, noun = self.names[p.name], self.nouns[p.name]
        if p.described and len(name) < 3:
            return name
        if p.described:
            return self.r.choice([name] * 6 + [f"`{name}`", f"the given {noun}"] if self.named else [
                noun, self.given(p), f"the {noun}"])
        short = noun.split(" of ")[0].split(" in ")[0].split(" that ")[0]
        if introduced:
            return self.r.choice([name, name, f"the {short}"]) if self.named else f"the {short}"
        if self.named:
            return self.r.choice([name] * 6 + [
                f"the {noun} {name}", f"`{name}`", f"the given {noun}", f"a {noun}", f"the {noun}"])
        if p.kind is KINDS["char"]:  # "words that start with a letter" would be another task
            return self.r.choice([f"a given {noun}", f"the given {noun}"])
        return self.r.choice([f"a {noun}", f"the given {noun}", f"a given {noun}", f"the {noun}", f"a {noun}"])

    def fill(self, phrase: str, introduced: bool = False) -> str:
        """Replace the mentions of parameters; two of a kind side by side become "two numbers"."""
        phrase = re.sub(  # a number that counts keeps its name: "the first n"
            r"(?<=first )\{(\w+)\}|(?<=last )\{(\w+)\}|\{(\w+)\}(?=-th)", lambda m: self.names[m[m.lastindex]], phrase)
        for a, b in zip(self.task.parameters, self.task.parameters[1:]):
            pair = f"{{{a.name}}} and {{{b.name}}}"
            if a.kind == b.kind and pair in phrase and not a.described and f"}}, {pair}" not in phrase:
                nouns = plural(self.nouns[a.name])
                two = [f"{self.names[a.name]} and {self.names[b.name]}"] * 3 if self.named else []
                two += ["the two " + nouns] if introduced else [f"two {nouns}", f"two given {nouns}", f"the two {nouns}"]
                phrase = re.sub(r"\bboth (?=the two |two )", "", phrase.replace(pair, self.r.choice(two)))
        for p in self.task.parameters:
            first, later = f"{{{p.name}}}", self.names[p.name] if self.named else "the " + self.nouns[p.name]
            if first in phrase:
                phrase = phrase.replace(first, self.mention(p, introduced), 1).replace(first, later)
        return phrase

    def arguments(self) -> str:
        """Return the parameters as they are introduced: "a list of numbers nums and a number k"."""
        parts, ps = [], self.task.parameters
        if len(ps) == 2 and ps[0].kind == ps[1].kind and not ps[0].described:
            names = f" {self.names[ps[0].name]} and {self.names[ps[1].name]}" if self.named else ""
            return f"two {plural(self.nouns[ps[0].name])}{self.r.choice([names, ''])}"
        for p in ps:
            noun, name = self.nouns[p.name], self.names[p.name]
            if p.described:
                one = noun if is_plural(noun) else f"a {noun}"
                parts.append(one if len(name) > 2 else f"{one} {name}")
            else:
                parts.append(self.r.choice([f"a {noun} {name}", f"a {noun} `{name}`", f"a {noun}"])
                             if self.named else f"a {noun}")
        return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]


def articles(text: str) -> str:
    """Mend what filling in leaves: "a integer", "a given years", "the years years"."""
    text = re.sub(r"\b(\w+) \1\b", r"\1", text)
    text = re.sub(r"\ba (?=(given )?(years|minutes|hours|days|seconds|miles|kilograms|pounds|meters|feet|inches|cents|people)\b)", "", text)
    return re.sub(rf"\b([Aa]) (?!({AFTER_NAME})(?!\w))(?=[aeio]|8\b|unordered|uppercase|upper)", r"\1n ", text)


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentence(r: random.Random, task: Task, names: dict[str, str], named: bool) -> tuple[str, str]:
    """Return a text that asks for the task and the wording's name; `named` if the parameters' names are known."""
    requests = [i for i, (mark, _) in enumerate(task.phrases) if mark == "~"]
    others = [i for i, (mark, _) in enumerate(task.phrases) if mark != "~"]
    index = r.choice(requests if requests and r.random() < REQUESTS else others)
    mark, phrase = task.phrases[index]
    phrase = choose(r, phrase)
    words = Words(r, task, names, named)
    if mark == "-" and phrase.startswith("how "):
        mark = "how"
    number = r.randrange(len(TEMPLATES[mark]))
    template = TEMPLATES[mark][number] if task.parameters or "{a}" not in TEMPLATES[mark][number] else "{p}"
    introduced = "{a}" in template
    p = words.fill(phrase, introduced)
    fields = {"p": p, "q": p, "a": words.arguments() if introduced else "", "P": p, "Q": upper_first(p)}
    if mark == "?":
        fields["c"] = inverted(p)
    if mark == "!":
        fields |= {"t": third(p), "T": third(p), "u": third(p)}
    text = template.format(**fields)
    if mark == "~" and p[-1] in ".?!":
        text = text.removesuffix(".") if template[-1] == "." else text
    is_example = mark == "~" and re.match(r"\S+ (becomes|gives|turns|and|is)\b", p)  # "aB becomes Ab" must stay
    if not template[0].islower() and not (template[0] == "{" and template[-1] not in ".?"):
        text = text if is_example or any(text.startswith(n + " ") for n in names.values()) else upper_first(text)
    text = text.replace(", False otherwise", ", otherwise False") if r.random() < 0.3 else text
    if r.random() < 0.07:
        text = text[:1].lower() + text[1:].rstrip(".")
    notes = [words.fill(choose(r, n), True) for n in task.notes if r.random() < 0.6]
    if notes and text[-1] not in ".?":
        text += "."
    return articles(" ".join([text, *map(upper_first, notes)])), f"{mark}{index}.{number}"
