"""libphi: its structures and functions as phi.h declares them, and the conversion of arguments, lists and errors."""
from __future__ import annotations

import ctypes
import ctypes.util
import operator
import os
import threading
from collections.abc import Callable, Iterable
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32
from ctypes import c_uint64, c_void_p
from pathlib import Path
from typing import Any, NoReturn, Self, SupportsIndex

OK, END = 0, 1
ROOM = 9
_ARGUMENT, _TOKEN, _CANCELLED = 2, 6, 11
ALL = c_size_t(-1).value


class Error(Exception):
    """An error of the library; `status` is a phi_status of phi.h."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cancelled(Error):
    """Generation.cancel was called."""


class ModelInfo(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("vocabulary", c_int32), ("context", c_int32), ("layers", c_int32),
        ("hidden_size", c_int32), ("heads", c_int32), ("kv_heads", c_int32), ("end_of_text", c_int32),
        ("reserved", c_int32), ("bytes_per_token", c_uint64), ("encoding", c_char * 8),
    ]


class SessionOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("context", c_int32), ("threads", c_int32), ("cache", c_int), ("no_speculation", c_int32),
        ("draft_corpus", POINTER(c_int32)), ("draft_corpus_count", c_size_t), ("draft_model", c_void_p),
    ]


class LogitBias(ctypes.Structure):
    _fields_ = [("token", c_int32), ("bias", c_float)]


class GenerationOptions(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("maximum_tokens", c_int64), ("temperature", c_double), ("top_p", c_double),
        ("min_p", c_double), ("repeat_penalty", c_double), ("seed", c_uint64), ("top_k", c_int32),
        ("log_probabilities", c_int32), ("stop", POINTER(c_char_p)), ("stop_count", c_size_t),
        ("logit_bias", POINTER(LogitBias)), ("logit_bias_count", c_size_t), ("ignore_end_of_text", c_int32),
        ("reserved", c_int32), ("presence_penalty", c_double), ("frequency_penalty", c_double),
        ("regex", c_char_p), ("json_schema", c_char_p),
    ]


class TokenProbability(ctypes.Structure):
    _fields_ = [("token", c_int32), ("reserved", c_int32), ("log_probability", c_double)]


class GenerationPiece(ctypes.Structure):
    _fields_ = [
        ("size", c_size_t), ("token", c_int32), ("stop", c_int), ("text", c_void_p), ("text_length", c_size_t),
        ("log_probability", c_double), ("alternatives", POINTER(TokenProbability)), ("alternative_count", c_size_t),
    ]


def _load() -> ctypes.CDLL:
    own = Path(__file__).with_name("libphi.so.0")
    path = os.environ.get("PHI_LIBRARY") or (str(own) if own.exists() else None) or ctypes.util.find_library("phi")
    library = ctypes.CDLL(path or "libphi.so.0")
    handle, count, token_list = c_void_p, POINTER(c_size_t), POINTER(c_int32)
    for name, result, arguments in [
        ("version", c_char_p, []),
        ("version_number", c_int32, []),
        ("error_message", c_char_p, []),
        ("model_open", c_int, [c_char_p, POINTER(handle)]),
        ("model_close", None, [handle]),
        ("model_describe", c_int, [handle, POINTER(ModelInfo)]),
        ("model_ends_of_text", c_int, [handle, token_list, c_size_t, count]),
        ("tokenize", c_int, [handle, c_char_p, c_size_t, c_uint32, token_list, c_size_t, count]),
        ("detokenize", c_int, [handle, token_list, c_size_t, c_uint32, c_char_p, c_size_t, count]),
        ("session_open", c_int, [handle, POINTER(SessionOptions), POINTER(handle)]),
        ("session_close", None, [handle]),
        ("session_draft_counts", c_int, [handle, POINTER(c_uint64), POINTER(c_uint64)]),
        ("session_append", c_int, [handle, token_list, c_size_t]),
        ("session_score", c_int, [handle, token_list, c_size_t, POINTER(c_double)]),
        ("session_logits", c_int, [handle, POINTER(c_float), c_size_t, count]),
        ("session_tokens", c_int, [handle, token_list, c_size_t, count]),
        ("session_truncate", c_int, [handle, c_size_t]),
        ("session_fork", c_int, [handle, c_size_t, POINTER(handle)]),
        ("session_save", c_int, [handle, c_size_t, c_void_p, c_size_t, count]),
        ("session_restore", c_int, [handle, c_char_p, c_size_t]),
        ("generation_begin", c_int, [handle, token_list, c_size_t, POINTER(GenerationOptions), POINTER(handle)]),
        ("generation_next", c_int, [handle, POINTER(GenerationPiece)]),
        ("generation_cancel", None, [handle]),
        ("generation_end", None, [handle]),
    ]:
        function = getattr(library, "phi_" + name)
        function.restype, function.argtypes = result, arguments
    if library.phi_version_number() // 1_000_000 != 0:
        raise ImportError(f"this package is for version 0 of libphi, not {library.phi_version().decode()}")
    return library


library = _load()
version: str = library.phi_version().decode()


def check(status: int) -> None:
    """Raises the error that a function of the library returned."""
    if status in (OK, END):
        return
    message = library.phi_error_message().decode()
    raise (Cancelled if status == _CANCELLED else Error)(status, message)


def refused(message: str) -> Error:
    """The error of an argument that the library would not see as it was given."""
    return Error(_ARGUMENT, message)


def utf8(name: str, text: str) -> bytes:
    """An argument that is text, which may have no surrogates."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise refused(f"{name} has a surrogate, which is no character") from None


def _shown(number: int) -> str:
    """A number in a message. Python does not print those of thousands of digits."""
    return str(number) if number.bit_length() <= 256 else f"an integer of {number.bit_length()} bits"


def integer(name: str, value: SupportsIndex, low: int = -(1 << 31), high: int = (1 << 31) - 1) -> int:
    """An argument as an integer from `low` to `high`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}") from None
    if not low <= number <= high:
        raise refused(f"{name} must be from {low} to {high}, got {_shown(number)}")
    return number


def length(name: str, value: SupportsIndex | None) -> int:
    """An argument that counts tokens; None means all of them."""
    return ALL if value is None else integer(name, value, 0, ALL - 1)


def token_array(tokens: Iterable[SupportsIndex]) -> ctypes.Array[c_int32]:
    """Token ids as a C array."""
    if isinstance(tokens, (str, bytes, bytearray)):
        raise TypeError(f"tokens must be integers, not {type(tokens).__name__}; Model.tokenize encodes text")
    try:
        numbers = [operator.index(token) for token in tokens]
    except TypeError as error:
        raise TypeError(f"tokens must be integers: {error}") from None
    for number in numbers:
        if not -(1 << 31) <= number < 1 << 31:
            raise Error(_TOKEN, f"{_shown(number)} is not a token")
    return (c_int32 * len(numbers))(*numbers)


def listed(element: Any, call: Callable[..., int]) -> ctypes.Array[Any]:
    """The list that `call(output, capacity, count)` writes."""
    count = c_size_t()
    status = call(None, 0, byref(count))
    output: ctypes.Array[Any] = (element * count.value)()
    check(call(output, count.value, byref(count)) if status == ROOM else status)
    return output


class Handle:
    """An object of the library, closed once: by `close`, by `with`, or when it is collected."""

    _close = ""
    _handle: c_void_p | None = None
    _lock: threading.RLock
    """Held while the handle is taken away, and while another thread uses it. A signal's handler may come in between."""

    def __new__(cls, *_: object, **__: object) -> Self:
        made = super().__new__(cls)
        made._lock = threading.RLock()
        return made

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Two Python objects must not close one object of the library."""
        raise TypeError(f"a phi.{type(self).__name__} cannot be copied or pickled")

    @property
    def closed(self) -> bool:
        return not self._handle

    def close(self) -> None:
        """Releases the object; it cannot be used any more. A second call has no effect."""
        with self._lock:
            handle, self._handle = self._handle, None
        if handle:
            getattr(library, self._close)(handle)

    def _open(self) -> c_void_p:
        """The handle, to be passed to the library."""
        if not self._handle:
            raise refused(f"the {type(self).__name__.lower()} is closed")
        return self._handle

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
