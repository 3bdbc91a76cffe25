"""Sessions and generations."""
from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ctypes import byref, c_char, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex, cast

from ._library import (
    ALL,
    END,
    ROOM,
    GenerationOptions,
    GenerationPiece,
    Handle,
    LogitBias,
    SessionOptions,
    check,
    integer,
    length,
    library,
    listed,
    refused,
    token_array,
    utf8,
)
from ._model import Model

if TYPE_CHECKING:
    import numpy
    import numpy.typing

# Tokens that the library computes in one step, PHI_BATCH_TOKENS.
_BATCH = 256
# No token: of a piece that has been returned.
_NONE = -1
_CACHES = {None: 0, "f32": 1, "f16": 2, "q8": 3}
_STOPS = [None, "end_of_text", "stop_string", "max_tokens", "context_full", "complete"]


def _real(name: str, value: SupportsFloat) -> float:
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    try:
        return float(value)
    except (OverflowError, ValueError) as error:
        raise refused(f"{name} must be a number that fits a float: {error}") from None


def _single(name: str, value: SupportsFloat) -> float:
    """A number that the library takes as a float of 32 bits."""
    number = _real(name, value)
    if math.isfinite(number) and not math.isfinite(c_float(number).value):
        raise refused(f"{name} must fit a float of 32 bits, got {number}")
    return number


def _text(name: str, value: str | None) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")
    if "\0" in value:
        raise refused(f"{name} has a zero byte")
    return utf8(name, value)


def _schema(value: str | Mapping[str, object] | None) -> str | None:
    """A schema as text."""
    if not isinstance(value, Mapping):
        return value

    def mapping(value: object) -> dict[object, object]:
        if isinstance(value, Mapping):
            return dict(value)
        raise TypeError(f"json_schema has a {type(value).__name__}, which is no JSON")

    try:
        return json.dumps(value, default=mapping)
    except (ValueError, RecursionError) as error:
        raise refused(f"json_schema cannot be written as JSON: {error}") from None


class Session(Handle):
    """A sequence of tokens and its KV cache.

    `context`: positions of the KV cache, by default the model's. `threads`: by default one for each core; results do
    not depend on it. `cache`: the cache's encoding, "f32", "f16" or "q8", by default chosen by the model's.

    Generations draft tokens that are likely to come, where that pays, and compute several in one step; results are the
    same. `speculate=False` turns that off, and excludes both of the following. `draft_corpus`: tokens of a text, for
    example one's own code, that drafts are taken from too, the first 4,194,304. `draft_model`: a smaller model with
    the same tokenizer that drafts too.

    A call of `append` or `score` that fails, also by Ctrl-C, leaves the session as it was. A session has one generation
    at a time: whatever else then changes the sequence (a piece of another generation, `complete`, `append`, `score`,
    `truncate`, `restore`) overtakes it, and its next piece raises Error. A fork is another session.
    """

    _close = "phi_session_close"

    def __init__(
        self, model: Model, context: int = 0, threads: int = 0, cache: str | None = None, *, speculate: bool = True,
        draft_corpus: Iterable[SupportsIndex] = (), draft_model: Model | None = None,
    ) -> None:
        for name, value in [("model", model), ("draft_model", draft_model)]:
            if not isinstance(value, Model) and (name == "model" or value is not None):
                raise TypeError(f"{name} must be a phi.Model, not {type(value).__name__}")
        if not isinstance(cache, (str, type(None))):
            raise TypeError(f"cache must be a str, not {type(cache).__name__}")
        if cache not in _CACHES:
            raise refused(f"cache must be f32, f16 or q8, got {cache!r}")
        corpus = token_array(draft_corpus)
        options = SessionOptions(
            ctypes.sizeof(SessionOptions), integer("context", context), integer("threads", threads), _CACHES[cache],
            int(not speculate), corpus, len(corpus), draft_model._open() if draft_model else None)
        handle = c_void_p()
        check(library.phi_session_open(model._open(), byref(options), byref(handle)))
        self._handle = handle
        self.model = model
        self._context: int = options.context or model.context

    def __enter__(self) -> Session:
        return self

    def __len__(self) -> int:
        return len(self.tokens)

    def append(self, tokens: Iterable[SupportsIndex]) -> None:
        """Appends tokens. Results do not depend on how a sequence is split into calls."""
        array = token_array(tokens)
        self._compute(array, lambda part, size, _: library.phi_session_append(self._open(), part, size))

    def score(self, tokens: Iterable[SupportsIndex]) -> list[float]:
        """Appends tokens and returns each one's log-probability; NaN for the first token of the sequence."""
        array = token_array(tokens)
        out = (c_double * len(array))()
        self._compute(array, lambda part, size, start: library.phi_session_score(
            self._open(), part, size, (c_double * size).from_buffer(out, start * ctypes.sizeof(c_double))))
        return list(out)

    def _compute(
        self, array: ctypes.Array[c_int32], call: Callable[[ctypes.Array[c_int32], int, int], int],
    ) -> None:
        """Passes tokens to `call(part, size, start)`, a batch at a time; Python handles signals in between."""
        count = len(array)
        before, has_logits = self._state()
        fits = before + count <= self._context and all(0 <= token < self.model.vocabulary for token in array)
        # The library changes nothing when it refuses them, all at once.
        batch = _BATCH if fits else max(1, count)
        try:
            for start in range(0, max(1, count), batch):
                size = min(batch, count - start)
                part = (c_int32 * size).from_buffer(array, start * ctypes.sizeof(c_int32)) if size else array
                check(call(part, size, start))
        except BaseException:
            # An interruption may come when the library is done, too.
            self._take_back(before, has_logits)
            raise

    def _state(self) -> tuple[int, bool]:
        """The number of tokens, and whether there are logits."""
        handle, count = self._open(), c_size_t()
        library.phi_session_tokens(handle, None, 0, byref(count))
        return count.value, library.phi_session_logits(handle, None, 0, byref(c_size_t())) == ROOM

    def _take_back(self, count: int, has_logits: bool) -> None:
        """Removes all tokens from index `count` on. The last one's logits go with them, so it is computed again."""
        if self._state() == (count, has_logits):
            return
        last = (c_int32 * 1)(*self.tokens[count - 1:count]) if has_logits else None
        self.truncate(count - (last is not None))
        if last is not None:
            check(library.phi_session_append(self._open(), last, 1))

    def logits(self) -> numpy.typing.NDArray[numpy.float32]:
        """The logits of the next token, float32 [vocabulary]. Without NumPy, a memoryview of as many floats."""
        handle = self._open()
        view = memoryview(listed(c_float, lambda *output: library.phi_session_logits(handle, *output))).cast("B")
        try:
            import numpy
        except ImportError:
            return cast("numpy.typing.NDArray[numpy.float32]", view.cast("f"))
        return numpy.frombuffer(view, dtype=numpy.float32)

    @property
    def tokens(self) -> list[int]:
        """The tokens of the sequence."""
        handle = self._open()
        return list(listed(c_int32, lambda *output: library.phi_session_tokens(handle, *output)))

    @property
    def draft_counts(self) -> tuple[int, int]:
        """How many tokens were drafted so far, and how many of those were then chosen."""
        drafted, accepted = c_uint64(), c_uint64()
        check(library.phi_session_draft_counts(self._open(), byref(drafted), byref(accepted)))
        return drafted.value, accepted.value

    def truncate(self, count: int) -> None:
        """Removes all tokens from index `count` on."""
        check(library.phi_session_truncate(self._open(), integer("count", count, 0, ALL - 1)))

    def fork(self, count: int | None = None) -> Session:
        """Creates an independent session with the first `count` tokens, by default all."""
        handle = c_void_p()
        check(library.phi_session_fork(self._open(), length("count", count), byref(handle)))
        fork = Session.__new__(Session)
        fork._handle, fork.model, fork._context = handle, self.model, self._context
        return fork

    def save(self, count: int | None = None) -> bytes:
        """A snapshot of the first `count` tokens, by default all, and their keys and values."""
        handle, number = self._open(), length("count", count)
        return bytes(listed(c_char, lambda *output: library.phi_session_save(handle, number, *output)))

    def restore(self, saved: bytes) -> None:
        """Replaces the sequence by that of a snapshot."""
        if not isinstance(saved, bytes):
            raise TypeError(f"a snapshot is bytes, not {type(saved).__name__}")
        check(library.phi_session_restore(self._open(), saved, len(saved)))

    def generate(self, prompt: str | Iterable[SupportsIndex], **options: Any) -> Generation:
        """Completes a prompt, piece by piece; options as for `Generation`.

        Special tokens are recognised in a prompt of text. Tokens that the session has already are not computed again.
        The first piece overtakes an earlier generation of the session.
        """
        return Generation(self, prompt, **options)

    def complete(self, prompt: str | Iterable[SupportsIndex], **options: Any) -> str:
        """The completion's text; options as for `Generation`."""
        with self.generate(prompt, **options) as pieces:
            return "".join(piece.text for piece in pieces)


@dataclass(frozen=True)
class Piece:
    """A token and the text that it completes: none while a character is incomplete or a stop string may have begun."""

    token: int
    text: str
    stop_reason: str | None
    """Why the completion ends here: "end_of_text", "stop_string", "max_tokens", "context_full" or
    "complete"; else None."""
    log_probability: float | None = None
    """None unless requested."""
    alternatives: list[tuple[int, float]] = field(default_factory=list)
    """The most likely tokens and their log-probabilities, in descending order."""


class Generation(Handle):
    """A completion, token by token: an iterator of pieces.

    `maximum_tokens`: by default the remaining context. `temperature`: 0 always takes the most likely token; else
    `top_k`, `top_p` and `min_p` restrict the choice, and `seed` makes it the same on any machine. `repeat_penalty`,
    `presence_penalty` and `frequency_penalty` discourage tokens that occurred.
    `stop`: strings that end the completion and are not part of it. `logit_bias`: added to tokens' logits; minus
    infinity forbids them. If it forbids all, token 0 is chosen, or with `regex` or `json_schema` the likeliest that
    those allow.
    `log_probabilities`: a number of alternatives, each with its log-probability. `ignore_end_of_text`: go on after
    tokens that end a text. `regex` or `json_schema`, a text or a mapping: keeps the completion to texts that match, as
    `phi complete --help` and the library's documentation tell; "oneOf" is as "anyOf". They need 256 KB of the thread's
    stack (`threading.stack_size`).

    Nothing is computed before the first piece, which takes the time of the prompt. Ctrl-C acts when a piece is there,
    which the next call then returns; `cancel` acts within the time of a piece or of 256 tokens of the prompt. Once
    anything else has changed the session's sequence, the generation is overtaken: its next piece raises Error.
    """

    _close = "phi_generation_end"

    def __init__(
        self, session: Session, prompt: str | Iterable[SupportsIndex], *, maximum_tokens: int | None = None,
        temperature: float = 0, top_k: int = 0, top_p: float = 1, min_p: float = 0, repeat_penalty: float = 1,
        presence_penalty: float = 0, frequency_penalty: float = 0, seed: int = 0, stop: str | Sequence[str] = (),
        logit_bias: Mapping[int, float] | None = None,
        log_probabilities: int | None = None, ignore_end_of_text: bool = False, regex: str | None = None,
        json_schema: str | Mapping[str, object] | None = None,
    ) -> None:
        if not isinstance(session, Session):
            raise TypeError(f"session must be a phi.Session, not {type(session).__name__}")
        tokens = token_array(
            session.model.tokenize(prompt, special_tokens=True) if isinstance(prompt, str) else prompt)
        stops = [stop] if isinstance(stop, str) else list(stop)
        if not isinstance(logit_bias, (Mapping, type(None))):
            raise TypeError(f"logit_bias must be a mapping, not {type(logit_bias).__name__}")
        biases = [
            LogitBias(integer("a token of logit_bias", token), _single("logit_bias", bias))
            for token, bias in (logit_bias or {}).items()]
        options = GenerationOptions(
            size=ctypes.sizeof(GenerationOptions),
            maximum_tokens=-1 if maximum_tokens is None
            else integer("maximum_tokens", maximum_tokens, 0, (1 << 63) - 1),
            temperature=_real("temperature", temperature), top_k=integer("top_k", top_k), top_p=_real("top_p", top_p),
            min_p=_real("min_p", min_p), repeat_penalty=_real("repeat_penalty", repeat_penalty),
            presence_penalty=_real("presence_penalty", presence_penalty),
            frequency_penalty=_real("frequency_penalty", frequency_penalty),
            seed=integer("seed", seed, 0, (1 << 64) - 1),
            log_probabilities=-1 if log_probabilities is None else integer("log_probabilities", log_probabilities, 0),
            stop=(c_char_p * len(stops))(*[_text("a stop string", text) for text in stops]), stop_count=len(stops),
            logit_bias=(LogitBias * len(biases))(*biases), logit_bias_count=len(biases),
            ignore_end_of_text=int(bool(ignore_end_of_text)), regex=_text("regex", regex),
            json_schema=_text("json_schema", _schema(json_schema)))
        handle = c_void_p()
        check(library.phi_generation_begin(session._open(), tokens, len(tokens), byref(options), byref(handle)))
        self._handle = handle
        self._next = GenerationPiece(size=ctypes.sizeof(GenerationPiece), token=_NONE)
        self.session = session
        self._wants_probabilities = log_probabilities is not None

    def __enter__(self) -> Generation:
        return self

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        if self.closed:
            raise StopIteration
        piece = self._next
        if piece.token == _NONE:
            status = library.phi_generation_next(self._handle, byref(piece))
            check(status)
            if status == END:
                raise StopIteration
        # Else an interruption came when the library was done: the piece is still here.
        text = ctypes.string_at(piece.text, piece.text_length).decode()
        alternatives = [(a.token, a.log_probability) for a in piece.alternatives[: piece.alternative_count]]
        made = Piece(
            piece.token, text, _STOPS[piece.stop], piece.log_probability if self._wants_probabilities else None,
            alternatives)
        piece.token = _NONE
        return made

    def cancel(self) -> None:
        """Makes the current or next call raise Cancelled. May be called from any thread, also while another closes."""
        with self._lock:
            if self._handle:
                library.phi_generation_cancel(self._handle)
