"""swift-phi for Python: inference of the phi-1 family from .phi files. Needs libphi and the standard library only.

    import phi

    model = phi.Model("phi-1.phi")
    session = phi.Session(model)
    for piece in session.generate("def fibonacci(n):\\n", maximum_tokens=64):
        print(piece.text, end="", flush=True)

This file can be copied anywhere. It loads libphi from $PHI_LIBRARY, or else from the system's library path.

Any number of threads may use a model. A session, its forks and its generations may be used by one thread at a time;
only Generation.cancel may be called from another. Python's other threads run while the library computes.
"""
from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Iterator, Mapping, Sequence
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32
from ctypes import c_uint64, c_void_p
from dataclasses import dataclass, field

OK, END = 0, 1
_ROOM = 9
_ALL = c_size_t(-1).value
_STOPS = [None, "end_of_text", "stop_string", "max_tokens", "context_full"]
_CACHES = {None: 0, "f32": 1, "f16": 2, "q8": 3}


class PhiError(Exception):
    """An error of the library; `status` is a phi_status of phi.h."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cancelled(PhiError):
    """Generation.cancel was called."""


class _ModelInfo(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("vocabulary", c_int32), ("context", c_int32), ("layers", c_int32),
        ("hidden_size", c_int32), ("heads", c_int32), ("kv_heads", c_int32), ("end_of_text", c_int32),
        ("reserved", c_int32), ("bytes_per_token", c_uint64), ("encoding", c_char * 8),
    ]


class _SessionOptions(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("context", c_int32), ("threads", c_int32), ("cache", c_int), ("reserved", c_int32)]


class _LogitBias(ctypes.Structure):
    _fields_ = [("token", c_int32), ("bias", c_float)]


class _GenerationOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("maximum_tokens", c_int64), ("temperature", c_double), ("top_p", c_double),
        ("min_p", c_double), ("repeat_penalty", c_double), ("seed", c_uint64), ("top_k", c_int32),
        ("log_probabilities", c_int32), ("stop", POINTER(c_char_p)), ("stop_count", c_size_t),
        ("logit_bias", POINTER(_LogitBias)), ("logit_bias_count", c_size_t), ("ignore_end_of_text", c_int32),
        ("reserved", c_int32),
    ]


class _TokenProbability(ctypes.Structure):
    _fields_ = [("token", c_int32), ("reserved", c_int32), ("log_probability", c_double)]


class _Piece(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("token", c_int32), ("stop", c_int), ("text", c_void_p), ("text_length", c_size_t),
        ("log_probability", c_double), ("alternatives", POINTER(_TokenProbability)), ("alternative_count", c_size_t),
    ]


def _load() -> ctypes.CDLL:
    path = os.environ.get("PHI_LIBRARY") or ctypes.util.find_library("phi") or "libphi.so.0"
    library = ctypes.CDLL(path)
    handle, count, token_list = c_void_p, POINTER(c_size_t), POINTER(c_int32)
    for name, result, arguments in [
        ("version", c_char_p, []),
        ("version_number", c_int32, []),
        ("error_message", c_char_p, []),
        ("model_open", c_int, [c_char_p, POINTER(handle)]),
        ("model_close", None, [handle]),
        ("model_describe", c_int, [handle, POINTER(_ModelInfo)]),
        ("model_ends_of_text", c_int, [handle, token_list, c_size_t, count]),
        ("tokenize", c_int, [handle, c_char_p, c_size_t, c_uint32, token_list, c_size_t, count]),
        ("detokenize", c_int, [handle, token_list, c_size_t, c_uint32, c_char_p, c_size_t, count]),
        ("session_open", c_int, [handle, POINTER(_SessionOptions), POINTER(handle)]),
        ("session_close", None, [handle]),
        ("session_append", c_int, [handle, token_list, c_size_t]),
        ("session_score", c_int, [handle, token_list, c_size_t, POINTER(c_double)]),
        ("session_logits", c_int, [handle, POINTER(c_float), c_size_t, count]),
        ("session_tokens", c_int, [handle, token_list, c_size_t, count]),
        ("session_truncate", c_int, [handle, c_size_t]),
        ("session_fork", c_int, [handle, c_size_t, POINTER(handle)]),
        ("session_save", c_int, [handle, c_size_t, c_void_p, c_size_t, count]),
        ("session_restore", c_int, [handle, c_char_p, c_size_t]),
        ("generation_begin", c_int, [handle, token_list, c_size_t, POINTER(_GenerationOptions), POINTER(handle)]),
        ("generation_next", c_int, [handle, POINTER(_Piece)]),
        ("generation_cancel", None, [handle]),
        ("generation_end", None, [handle]),
    ]:
        function = getattr(library, "phi_" + name)
        function.restype, function.argtypes = result, arguments
    if library.phi_version_number() // 1_000_000 != 0:
        raise ImportError(f"this module is for version 0 of libphi, not {library.phi_version().decode()}")
    return library


_library = _load()
version: str = _library.phi_version().decode()


def _check(status: int) -> None:
    if status in (OK, END):
        return
    message = _library.phi_error_message().decode()
    raise (Cancelled if status == 11 else PhiError)(status, message)


def _tokens(tokens: Sequence[int]) -> ctypes.Array:
    for token in tokens:
        if not -(1 << 31) <= token < 1 << 31:
            raise PhiError(6, f"{token} is not a token")
    return (c_int32 * len(tokens))(*tokens)


def _list(element, call) -> ctypes.Array:
    """The list that `call(output, capacity, count)` writes."""
    count = c_size_t()
    status = call(None, 0, byref(count))
    output = (element * count.value)()
    if status == _ROOM:
        _check(call(output, count.value, byref(count)))
    else:
        _check(status)
    return output


class _Handle:
    """An object of the library, closed once: by `close`, by `with`, or when it is collected."""

    _close = "phi_model_close"

    def __init__(self, handle: c_void_p) -> None:
        self._handle = handle

    def close(self) -> None:
        handle, self._handle = getattr(self, "_handle", None), None
        if handle:
            getattr(_library, self._close)(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Model(_Handle):
    """A .phi file, mapped."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        handle = c_void_p()
        _check(_library.phi_model_open(os.fsencode(path), byref(handle)))
        super().__init__(handle)
        info = _ModelInfo(size=ctypes.sizeof(_ModelInfo))
        _check(_library.phi_model_describe(handle, byref(info)))
        for name, *_ in _ModelInfo._fields_[1:]:
            if name != "reserved":
                value = getattr(info, name)
                setattr(self, name, value.decode() if isinstance(value, bytes) else value)

    vocabulary: int
    context: int
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    end_of_text: int
    bytes_per_token: int
    encoding: str

    @property
    def ends_of_text(self) -> list[int]:
        """The tokens each of which ends a text; `end_of_text` is the first."""
        return list(_list(c_int32, lambda *output: _library.phi_model_ends_of_text(self._handle, *output)))

    def tokenize(self, text: str | bytes, special_tokens: bool = False) -> list[int]:
        """Encodes text as tokens."""
        data = text.encode() if isinstance(text, str) else text
        return list(_list(c_int32, lambda *output: _library.phi_tokenize(
            self._handle, data, len(data), int(special_tokens), *output)))

    def detokenize(self, tokens: Sequence[int], special_tokens: bool = False) -> bytes:
        """Decodes tokens to bytes."""
        array = _tokens(tokens)
        return bytes(_list(c_char, lambda *output: _library.phi_detokenize(
            self._handle, array, len(tokens), int(special_tokens), *output)))


class Session(_Handle):
    """A sequence of tokens and its KV cache, encoded in `cache`: "f32", "f16" or "q8", by default as the model."""

    _close = "phi_session_close"

    def __init__(self, model: Model, context: int = 0, threads: int = 0, cache: str | None = None) -> None:
        if cache not in _CACHES:
            raise PhiError(2, f"cache must be f32, f16 or q8, got {cache!r}")
        options = _SessionOptions(ctypes.sizeof(_SessionOptions), context, threads, _CACHES[cache], 0)
        handle = c_void_p()
        _check(_library.phi_session_open(model._handle, byref(options), byref(handle)))
        super().__init__(handle)
        self.model = model

    def append(self, tokens: Sequence[int]) -> None:
        """Appends tokens. Results do not depend on how a sequence is split into calls."""
        _check(_library.phi_session_append(self._handle, _tokens(tokens), len(tokens)))

    def score(self, tokens: Sequence[int]) -> list[float]:
        """Appends tokens and returns each one's log-probability; NaN for the first token of the sequence."""
        out = (c_double * len(tokens))()
        _check(_library.phi_session_score(self._handle, _tokens(tokens), len(tokens), out))
        return list(out)

    def logits(self) -> ctypes.Array:
        """The logits of the next token, C floats [vocabulary]: numpy.frombuffer(session.logits(), "f4")."""
        return _list(c_float, lambda *output: _library.phi_session_logits(self._handle, *output))

    @property
    def tokens(self) -> list[int]:
        """The tokens of the sequence."""
        return list(_list(c_int32, lambda *output: _library.phi_session_tokens(self._handle, *output)))

    def truncate(self, count: int) -> None:
        """Removes all tokens from index `count` on."""
        _check(_library.phi_session_truncate(self._handle, count))

    def fork(self, count: int | None = None) -> Session:
        """Creates an independent session with the first `count` tokens, by default all."""
        handle = c_void_p()
        _check(_library.phi_session_fork(self._handle, _ALL if count is None else count, byref(handle)))
        fork = Session.__new__(Session)
        _Handle.__init__(fork, handle)
        fork.model = self.model
        return fork

    def save(self, count: int | None = None) -> bytes:
        """A snapshot of the first `count` tokens, by default all, and their keys and values."""
        number = _ALL if count is None else count
        return bytes(_list(c_char, lambda *output: _library.phi_session_save(
            self._handle, number, *output)))

    def restore(self, saved: bytes) -> None:
        """Replaces the sequence by that of a snapshot."""
        _check(_library.phi_session_restore(self._handle, saved, len(saved)))

    def generate(self, prompt: str | Sequence[int], **options) -> Generation:
        """Completes a prompt, piece by piece. Special tokens are recognised in a prompt of text.

        Options: maximum_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop (strings), logit_bias
        (by token), log_probabilities (a number of alternatives), ignore_end_of_text.
        """
        return Generation(self, prompt, **options)

    def complete(self, prompt: str | Sequence[int], **options) -> str:
        """The completion's text; options as for `generate`."""
        with self.generate(prompt, **options) as pieces:
            return "".join(piece.text for piece in pieces)


@dataclass(frozen=True)
class Piece:
    """A token and the text that it completes."""

    token: int
    text: str
    #: Why the completion ends with this token: "end_of_text", "stop_string", "max_tokens", "context_full"; else None.
    stop_reason: str | None
    #: None unless requested.
    log_probability: float | None = None
    #: The most likely tokens and their log-probabilities, in descending order.
    alternatives: list[tuple[int, float]] = field(default_factory=list)


class Generation(_Handle):
    """A completion, token by token; iterate over it."""

    _close = "phi_generation_end"

    def __init__(
        self, session: Session, prompt: str | Sequence[int], *, maximum_tokens: int | None = None,
        temperature: float = 0, top_k: int = 0, top_p: float = 1, min_p: float = 0, repeat_penalty: float = 1,
        seed: int = 0, stop: Sequence[str] = (), logit_bias: Mapping[int, float] | None = None,
        log_probabilities: int | None = None, ignore_end_of_text: bool = False,
    ) -> None:
        prompt = session.model.tokenize(prompt, special_tokens=True) if isinstance(prompt, str) else prompt
        if any("\0" in text for text in stop):
            raise PhiError(2, "a stop string has a zero byte")
        stops = (c_char_p * len(stop))(*[text.encode() for text in stop])
        biases = (_LogitBias * len(logit_bias or {}))(*(logit_bias or {}).items())
        options = _GenerationOptions(
            size=ctypes.sizeof(_GenerationOptions), maximum_tokens=-1 if maximum_tokens is None else maximum_tokens,
            temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repeat_penalty=repeat_penalty, seed=seed,
            log_probabilities=-1 if log_probabilities is None else log_probabilities,
            stop=stops, stop_count=len(stop), logit_bias=biases, logit_bias_count=len(biases),
            ignore_end_of_text=int(ignore_end_of_text))
        handle = c_void_p()
        _check(_library.phi_generation_begin(
            session._handle, _tokens(prompt), len(prompt), byref(options), byref(handle)))
        super().__init__(handle)
        self.session = session
        self._wants_probabilities = log_probabilities is not None

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        if not self._handle:
            raise StopIteration
        piece = _Piece(size=ctypes.sizeof(_Piece))
        status = _library.phi_generation_next(self._handle, byref(piece))
        _check(status)
        if status == END:
            raise StopIteration
        text = ctypes.string_at(piece.text, piece.text_length).decode()
        alternatives = [(a.token, a.log_probability) for a in piece.alternatives[: piece.alternative_count]]
        return Piece(
            piece.token, text, _STOPS[piece.stop], piece.log_probability if self._wants_probabilities else None,
            alternatives)

    def cancel(self) -> None:
        """Makes the current or next call raise Cancelled. May be called from any thread."""
        if self._handle:
            _library.phi_generation_cancel(self._handle)
