"""Models."""
from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from ctypes import byref, c_char, c_int32, c_void_p
from typing import SupportsIndex

from ._library import Handle, ModelInfo, check, library, listed, refused, token_array, utf8


class Model(Handle):
    """A .phi file, mapped. Opening takes milliseconds, whatever its size."""

    _close = "phi_model_close"

    vocabulary: int
    """Number of tokens, and of logits."""
    context: int
    """Largest number of positions."""
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    end_of_text: int
    """The first of the tokens that end a text."""
    bytes_per_token: int
    """Bytes of weights read to decode a token."""
    encoding: str
    """Of the transformer blocks: "q3", "q4", "q8", "f16" or "f32"."""

    def __init__(self, path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> None:
        self.path = os.fspath(path)
        try:
            encoded = os.fsencode(path)
        except UnicodeEncodeError:
            raise refused("the path has characters that the system's encoding does not have") from None
        if b"\0" in encoded:
            raise refused("the path has a zero byte")
        handle = c_void_p()
        check(library.phi_model_open(encoded, byref(handle)))
        self._handle = handle
        info = ModelInfo(size=ctypes.sizeof(ModelInfo))
        check(library.phi_model_describe(handle, byref(info)))
        for name in ("vocabulary", "context", "layers", "hidden_size", "heads", "kv_heads", "end_of_text"):
            setattr(self, name, getattr(info, name))
        self.bytes_per_token = info.bytes_per_token
        self.encoding = info.encoding.decode()

    def __enter__(self) -> Model:
        return self

    def __repr__(self) -> str:
        return f"<phi.Model {self.path!r}, {self.encoding}{', closed' if self.closed else ''}>"

    @property
    def ends_of_text(self) -> list[int]:
        """The tokens each of which ends a text."""
        handle = self._open()
        return list(listed(c_int32, lambda *output: library.phi_model_ends_of_text(handle, *output)))

    def tokenize(self, text: str | bytes, special_tokens: bool = False) -> list[int]:
        """Encodes text. `special_tokens` recognises those, such as <|endoftext|>: not for untrusted text."""
        if not isinstance(text, (str, bytes)):
            raise TypeError(f"text must be str or bytes, not {type(text).__name__}")
        data = utf8("the text", text) if isinstance(text, str) else text
        handle = self._open()
        return list(listed(c_int32, lambda *output: library.phi_tokenize(
            handle, data, len(data), int(bool(special_tokens)), *output)))

    def detokenize(self, tokens: Iterable[SupportsIndex], special_tokens: bool = False) -> bytes:
        """Decodes tokens to bytes, which need not end at the end of a character."""
        array, handle = token_array(tokens), self._open()
        return bytes(listed(c_char, lambda *output: library.phi_detokenize(
            handle, array, len(array), int(bool(special_tokens)), *output)))
