"""Tests of the tables of everyday tasks: right bodies and words, what training never sees, the newcomer's set."""
from __future__ import annotations

import copy
import gzip
import json
import os
import random
import re
import unittest
from dataclasses import replace
from pathlib import Path

from phitools.exercises import generate, heldout
from phitools.exercises.tasks import classes, first_course, stream, wordings
from phitools.exercises.tasks.forms import FORMS, Function
from phitools.exercises.tasks.kinds import KINDS
from phitools.exercises.tasks.table import indented, tasks
from phitools.exercises.tasks.wordings import Words, articles, choose, inverted, plural, sentence, third


def rows(name: str) -> list[dict]:
    path = heldout.FILES[name]
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.decode().splitlines()]


def words(text: str) -> set[str]:
    """The 13 words in a row that decontamination compares."""
    w = re.findall(r"[a-z0-9_]+", text.lower())
    return {" ".join(w[i:i + 13]) for i in range(len(w) - 12)}


class Tables(unittest.TestCase):
    def test_the_first_course_is_of_the_tables(self) -> None:
        self.assertLess(first_course.NAMES, {t.name for t in tasks()})
        drawn = list(stream.training(1, 300, first_course=True))
        self.assertLess({e.task for e in drawn}, first_course.NAMES)
        self.assertTrue(all(e.table for e in drawn))

    def test_examples_worked_by_hand(self) -> None:
        for task in tasks():
            self.assertTrue(task.examples, f"{task.name} has no example")
            for body, function in enumerate(task.functions):
                for example in task.examples:
                    self.assertIs(eval(example, {"f": function}), True, f"{task.name}, body {body}: {example}")

    def test_bodies_agree_and_leave_their_arguments(self) -> None:
        r = random.Random(7)
        for task in tasks():
            usable = 0
            for _ in range(20):
                arguments = tuple(p.kind.draw(r) for p in task.parameters)
                found = []
                for function in task.functions:
                    given = copy.deepcopy(arguments)
                    try:
                        found.append(function(*given))
                    except (ArithmeticError, LookupError, ValueError, TypeError) as error:
                        found.append(type(error))
                    self.assertEqual(given, arguments, f"{task.name} changes its arguments")
                usable += not isinstance(found[0], type)
                for other in found[1:]:
                    self.assertIs(type(other), type(found[0]), f"{task.name}{arguments}: {found}")
                    near = isinstance(other, float) and abs(other - found[0]) < 1e-9
                    self.assertTrue(other == found[0] or near, f"{task.name}{arguments}: {found}")
            self.assertGreater(usable, 8, f"{task.name}: its parameters are of the wrong kind")

    def test_phrases_mention_only_parameters(self) -> None:
        for task in tasks():
            self.assertTrue(task.phrases, task.name)
            names = {p.name for p in task.parameters}
            for text in [t for _, t in task.phrases] + task.notes:
                self.assertLessEqual(set(re.findall(r"\{(\w+)\}", text)), names, f"{task.name}: {text}")

    def test_kinds_draw_what_they_say(self) -> None:
        for name, kind in KINDS.items():
            wanted = re.match(r"\w+", kind.annotation)[0]
            fitting = {"float": ("float", "int")}.get(wanted, (wanted,))  # an int is a float to annotations
            for seed in range(20):
                value = kind.draw(random.Random(seed))
                self.assertTrue(wanted == "object" or type(value).__name__ in fitting, f"{name}: {value!r}")


class Wordings(unittest.TestCase):
    def test_words(self) -> None:
        self.assertEqual(third("remove the x and return it"), "removes the x and returns it")
        self.assertEqual([third(v) for v in ("copy", "push", "display")], ["copies ", "pushes ", "displays "])
        self.assertEqual(inverted("n has a factor"), "does n have a factor")
        self.assertEqual(inverted("all items are equal"), "are all items equal")
        self.assertEqual([plural(n) for n in ("list of strings", "dictionary")], ["lists of strings", "dictionaries"])
        self.assertEqual(articles("Return a integer"), "Return an integer")
        self.assertEqual(articles("is a even? a only, a odd list"), "is a even? a only, an odd list")
        self.assertIn(choose(random.Random(1), "[a|b [c|d]]"), ("a", "b c", "b d"))

    def test_a_beginners_request_stands_as_it_is(self) -> None:
        task = replace(next(t for t in tasks() if t.name == "strings.reverse_string"), phrases=[
            ("-", "{text} backwards"), ("~", "turn {text} around"), ("~", "aB becomes Ba. {text} is what i have")])
        r, found = random.Random(4), set()
        for _ in range(400):
            found.add(sentence(r, task, {"text": "s"}, True)[0])
        requests = {t for t in found if "around" in t}
        self.assertLessEqual({"turn s around", "Turn s around."}, requests)
        self.assertFalse([t for t in requests if not re.fullmatch(r"[Tt]urn .*around\.?", t)])
        examples = {t for t in found if "Ba" in t}
        self.assertTrue(examples and all(t.startswith("aB becomes Ba. ") for t in examples))
        self.assertTrue([t for t in found if t.endswith("backwards.")])

    def test_mentions_of_several_parameters(self) -> None:
        three = next(t for t in tasks() if t.name == "numbers.max_of_three")
        names = {p.name: p.name for p in three.parameters}
        r = random.Random(5)
        texts = {Words(r, three, names, n % 2 == 0).fill(t) for n in range(200)
                 for t in ("the largest of {a}, {b} and {c}", "both {a} and {b}")}
        self.assertFalse([t for t in texts if re.search(r", (the )?two|both (the )?two", t)])
        prices = next(t for t in tasks() if any("prices" in p.names and p.described for p in t.parameters))
        names = {p.name: "prices" if "prices" in p.names else p.name for p in prices.parameters}
        plural_name = next(p for p in prices.parameters if names[p.name] == "prices")
        mentions = {Words(r, prices, names, False).mention(plural_name) for _ in range(50)}
        self.assertEqual(mentions, {"prices", "the prices", "the given prices"})

    def test_no_slot_is_left(self) -> None:
        r = random.Random(3)
        for task in tasks():
            for named in (True, False):
                text, _ = sentence(r, task, {p.name: p.name for p in task.parameters}, named)
                self.assertIsNone(re.search(r"[{}<>|]", text), f"{task.name}: {text}")

    def test_forms_end_the_prompt_where_the_solution_begins(self) -> None:
        f = Function("twice", [("x", "int")], "int", ["import math"], ["return 2 * x"], [(1,), (2,)], [2, 4])
        for name, form in FORMS.items():
            for seed in range(300):
                text = ("Return twice x.", "twice x, not 'x'", 'twice x, not "x"')[seed % 3]
                prompt, solution = form(random.Random(seed), f, text)
                self.assertEqual(prompt, prompt.strip(), name)
                self.assertTrue(solution.startswith("\n") and solution.endswith("return 2 * x\n"), name)
                space: dict = {}
                exec(prompt + solution + f.test, space)
                space["check"](space["twice"])


class Classes(unittest.TestCase):
    def test_examples_worked_by_hand(self) -> None:
        for c in classes.table():
            source = "\n".join([f"class {c.names[0]}:", *(f"    {line}" for m in c.methods for line in m.code())])
            space: dict = {}
            exec(source + "\n" + classes.test(c), space)
            space["check"](space[c.names[0]])
            self.assertTrue(c.examples and c.what and all(m.does for m in c.methods), c.names[0])


class Decontamination(unittest.TestCase):
    @unittest.skipUnless("SWIFT_PHI_DATA" in os.environ, "SWIFT_PHI_DATA is not set")
    def test_each_task_keeps_a_body(self) -> None:
        from phitools.data import decontaminate
        folder = Path(os.environ["SWIFT_PHI_DATA"])
        problems = [p for n in ("HumanEval.jsonl.gz", "mbpp.jsonl") for p in decontaminate.problems(folder / n)]
        named = [
            (task.name, "\n".join([
                *imports, f"def f({', '.join(p.name for p in task.parameters)}):", *indented(lines)]) + "\n")
            for task in tasks() for imports, lines in task.bodies]
        rates, _ = decontaminate.match_rates([source for _, source in named], problems)
        kept = {name for (name, _), rate in zip(named, rates, strict=True) if rate < 0.9}
        self.assertEqual({task.name for task in tasks()} - kept, set())


class Stream(unittest.TestCase):
    def setUp(self) -> None:
        self.drawn = list(stream.training(5, 1200))

    def test_same_seed_same_stream(self) -> None:
        self.assertEqual([e.source for e in stream.training(5, 150)], [e.source for e in self.drawn[:150]])

    def test_training_is_distinct_varied_and_of_its_side(self) -> None:
        self.assertEqual(len({e.source for e in self.drawn}), len(self.drawn))
        self.assertFalse([e.composition for e in self.drawn if e.held_out])
        self.assertGreater(len({e.composition for e in self.drawn}), 1000)
        starts = {"signature": "def ", "asserts": '"""', "comment": "# ", "class": "class ", "typing": "from typing"}
        for form, start in starts.items():
            self.assertGreater(sum(e.prompt.startswith(start) for e in self.drawn), 20, form)

    def test_nothing_of_the_problem_sets_is_trained(self) -> None:
        compositions = {e.composition for e in self.drawn}
        self.assertFalse(compositions & {p["composition"] for p in rows("heldout") + rows("heldout-tasks")})
        asked = [(p["task_id"], set(re.findall(r"\w+", re.split(r'"""|# ', p["prompt"])[1].split("\n")[0].lower())))
                 for p in rows("everyday") + rows("everyday-2")]
        r = random.Random(6)
        for task in tasks():
            for mark, phrase in task.phrases:
                w = set(re.findall(r"\w+", choose(r, phrase).lower())) if mark == "~" else set()
                self.assertFalse([i for i, a in asked if len(a & w) >= 0.7 * len(a | w)], f"{task.name}: {phrase}")
        prompts = set().union(*(words(p["prompt"]) for p in rows("everyday") + rows("everyday-2")))
        self.assertFalse([e.source for e in self.drawn if words(e.source) & prompts])


class ProblemSets(unittest.TestCase):
    def test_solutions_pass(self) -> None:
        for name, least in (("heldout-tasks", 150), ("everyday", 40), ("everyday-2", 40)):
            problems = rows(name)
            self.assertEqual(len({p["task_id"] for p in problems}), least)
            for p in problems:
                space: dict = {}
                exec(p["prompt"] + "\n" * (p["prompt"][-1] != "\n") + p["canonical_solution"].lstrip("\n"), space)
                exec(p["test"], space)
                space["check"](space[p["entry_point"]])

    def test_wordings_are_trained_under_no_other_number(self) -> None:
        self.assertEqual(wordings.twins("-3.0"), ["-3.0", "-3.1", "-3.2"])
        for p in rows("heldout-tasks"):
            if p["split"] == "wording":
                task, wording = p["composition"].split(" / ")
                for twin in wordings.twins(wording):
                    self.assertTrue(generate.held_out_kind(p["family"], f"{task} / {twin}"), p["task_id"])

    def test_the_committed_file_is_what_the_script_makes(self) -> None:
        made = heldout.lines(heldout.choose_tasks(heldout.SEED), "heldout-tasks")
        self.assertEqual([json.loads(line) for line in made], rows("heldout-tasks"))


if __name__ == "__main__":
    unittest.main()
