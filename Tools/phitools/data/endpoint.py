"""Questions to a language model behind an OpenAI-compatible endpoint, for `annotate`, `textbooks` and `exercises`.

Each answer is checked, and asked for again if it is unusable. Answers are kept on disk as they come, so a step that was
killed or that gave up asks only what is left.
"""
from __future__ import annotations

import email.utils
import http.client
import json
import os
import queue
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from datatrove.pipeline.base import PipelineStep

from ..output import say
from .steps import name


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for a fault: followed, it would become a GET, and take the key to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(_NoRedirect)
KEY = "PHITOOLS_API_KEY"
"""The environment variable with the endpoint's key, which thus appears in no command line or manifest."""
PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
"""HTTP statuses that may pass."""
OF_THE_PROMPT = {400, 413, 422}
"""HTTP statuses of a prompt that the server does not take: too long, or kept out by a filter."""
MOST_REFUSED = 16
"""Prompts that may be refused before the first answer: then the requests themselves are wrong."""


def key() -> str:
    """Return the endpoint's key without white space around it, empty if there is none; ValueError, which doesn't show
    it, for one that no header can have."""
    found = os.environ.get(KEY, "").strip()
    if not re.fullmatch(r"[!-~]*", found):
        raise ValueError(
            f"{KEY}: has white space, control or other characters within it that no key has; set it again")
    return found


class Refused(OSError):
    """The server does not take a prompt."""


class Answer(NamedTuple):
    text: str
    whole: bool
    """Whether the model ended it, rather than the limit of tokens."""


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server and a model of it."""

    url: str
    model: str
    timeout: float = 120.0
    tries: int = 6
    pause: float = 1.0
    """Seconds before the second try; doubled for each further one, at most a minute."""

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.url)
            good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
        except ValueError:
            good = False
        if not good or re.search(r"[^!-~]", self.url):
            raise ValueError(f"--endpoint {self.url}: no address; it is like http://localhost:8000 or https://HOST/v1")

    @property
    def address(self) -> str:
        """The URL of the requests; --endpoint may end in the server's name, in a version (/v1, /v1beta/openai), in a
        deployment, or be this URL. A query stays."""
        parts = urllib.parse.urlsplit(self.url)
        path = parts.path.rstrip("/")
        if not path.endswith("/chat/completions"):
            versioned = re.search(r"/v[0-9][^/]*(/|$)|/deployments/[^/]+$", path)
            path += "/chat/completions" if versioned else "/v1/chat/completions"
        return urllib.parse.urlunsplit(parts._replace(path=path, fragment=""))

    def ask(self, prompt: str, tokens: int, temperature: float, stop: threading.Event | None = None) -> Answer:
        """Return an answer; OSError names the address and the last fault when the tries are used up or `stop` is set,
        or at once for a fault that another try won't mend; Refused is one of this prompt alone."""
        secret = key()
        stop = stop or threading.Event()
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens,
                "temperature": temperature}
        headers = {"Content-Type": "application/json"}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        request = urllib.request.Request(self.address, json.dumps(body).encode(), headers)
        for number in range(1, self.tries + 1):
            wait = min(60.0, self.pause * 2 ** (number - 1)) * random.uniform(0.75, 1.25)
            try:
                with OPENER.open(request, timeout=self.timeout) as response:
                    choice = json.loads(response.read())["choices"][0]
                return Answer(str(choice["message"]["content"] or ""), choice.get("finish_reason") != "length")
            except urllib.error.HTTPError as error:
                fault = f"HTTP {error.code}: {_body(error) or error.reason}"
                if 300 <= error.code < 400 and (place := error.headers.get("Location")):
                    fault = f"redirects to {place}; give --endpoint that address"
                if error.code not in PASSING:
                    kind = Refused if error.code in OF_THE_PROMPT else OSError
                    raise kind(f"{self.address}: {_shown(fault, secret)}") from None
                wait = max(wait, _retry_after(error.headers.get("Retry-After")))
            except (OSError, http.client.HTTPException) as error:
                fault = str(getattr(error, "reason", "") or error) or type(error).__name__
            except (ValueError, KeyError, IndexError, TypeError) as error:
                fault = f"not a chat completion ({type(error).__name__}: {error})"
            fault = _shown(fault, secret)
            if stop.is_set():
                raise OSError(f"{self.address}: {fault}; stopped")
            if number < self.tries:
                _say(f"{self.address}: {fault}; try {number + 1} of {self.tries} in {wait:.0f} s")
                if stop.wait(wait):
                    raise OSError(f"{self.address}: {fault}; stopped")
        raise OSError(
            f"{self.address}: {fault} ({self.tries} tries); the answers so far are kept, start again to go on")


def _shown(fault: str, secret: str) -> str:
    """Return a fault on one line, without the key that a server may have put into it."""
    return " ".join((fault.replace(secret, "(the key)") if secret else fault).split())


def _body(error: urllib.error.HTTPError) -> str:
    """Return the beginning of what a server says about a fault; nothing if that breaks off."""
    try:
        return error.read(300).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return ""


def _retry_after(text: str | None) -> float:
    """Return the seconds of a Retry-After header, at most ten minutes; 0 without one."""
    if not text:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        when = email.utils.parsedate_tz(text)
        seconds = email.utils.mktime_tz(when) - time.time() if when else 0.0
    return min(max(0.0, seconds), 600.0)


_said: list[float] = [0.0]


def _say(text: str) -> None:
    """Tell a fault, at most one a second: many requests meet the same."""
    if time.monotonic() - _said[0] >= 1:
        _said[0] = time.monotonic()
        say(f"phitools.data: {text}")


class _Threads:
    """Threads that do one call after another. A process that ends doesn't wait for them: a server may be silent."""

    def __init__(self, count: int) -> None:
        self._calls = queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None]()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[..., Any], *given: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._calls.put((future, call, given))
        return future

    def _work(self) -> None:
        while found := self._calls.get():
            future, call, given = found
            try:
                future.set_result(call(*given))
            except BaseException as error:
                future.set_exception(error)

    def end(self) -> None:
        """Let the threads end after the calls that there are."""
        for _ in self._threads:
            self._calls.put(None)

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()


class Ask(PipelineStep):
    """A pipeline step that puts a question about each document and hands on what `take` makes of the answer.

    `take(document, answer)` returns a document, or None for an unusable answer, which is asked for `again` times and
    then left out, as is one whose prompt the server refuses. A document for which `question` returns None passes
    unchanged.
    """

    name, type = "endpoint", "GENERATOR"

    def __init__(
            self, endpoint: Endpoint, question: Callable[[Any], str | None], take: Callable[[Any, Answer], Any],
            answers: Path, tokens: int, temperature: float, again: int = 2, concurrent: int = 16) -> None:
        super().__init__()
        self.endpoint, self.question, self.take, self.answers = endpoint, question, take, answers
        self.tokens, self.temperature, self.again, self.concurrent = tokens, temperature, again, concurrent

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        kept = _Kept(self.answers / f"{rank:05d}.jsonl")
        stop = threading.Event()
        refused = list[Refused]()

        def answer(document: Any, prompt: str) -> Any:
            for attempt in range(self.again + 1):
                key = name(
                    json.dumps([self.endpoint.model, prompt, self.tokens, self.temperature, document.id, attempt]))
                found = kept.get(key)
                if found is None:
                    if stop.is_set():
                        return None
                    try:
                        found = self.endpoint.ask(prompt, self.tokens, self.temperature, stop)
                    except Refused as error:
                        refused.append(error)
                        if not kept.count and len(refused) >= MOST_REFUSED:
                            raise
                        return error
                    kept.put(key, found)
                if (taken := self.take(document, found)) is not None:
                    return taken
            return None
        waiting: deque[Future[Any]] = deque()
        pool = _Threads(self.concurrent)

        def handed_on(most: int) -> Iterator[Any]:
            while len(waiting) > most:
                taken = waiting.popleft().result()
                if taken is None:
                    self.stat_update("left out: unusable answer")
                elif isinstance(taken, Refused):
                    self.stat_update("left out: refused by the server")
                else:
                    yield taken
        try:
            for document in data or ():
                if (prompt := self.question(document)) is None:
                    done: Future[Any] = Future()
                    done.set_result(document)
                    waiting.append(done)
                else:
                    waiting.append(pool.submit(answer, document, prompt))
                yield from handed_on(2 * self.concurrent)
            yield from handed_on(0)
            if refused and not kept.count:
                raise refused[0]
        except Exception:
            stop.set()
            pool.end()
            pool.wait()  # for answers that are on their way, to keep them; not when it is interrupted
            raise
        finally:
            stop.set()
            pool.end()


class _Kept:
    """The answers of a task on disk; a line that a kill truncated is dropped."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock, self._found = threading.Lock(), dict[str, Answer]()
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                d = json.loads(line)
                self._found[d["key"]] = Answer(d["text"], d["whole"])
            except (ValueError, KeyError, TypeError):
                continue
        self._file = open(path, "a", encoding="utf-8")
        self._file.write("\n")

    @property
    def count(self) -> int:
        """Number of answers."""
        return len(self._found)

    def get(self, key: str) -> Answer | None:
        return self._found.get(key)

    def put(self, key: str, answer: Answer) -> None:
        with self._lock:
            self._found[key] = answer
            self._file.write(json.dumps({"key": key, "text": answer.text, "whole": answer.whole}) + "\n")
            self._file.flush()
