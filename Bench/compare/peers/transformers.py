"""transformers on PyTorch: a plain forward pass with its KV cache."""
from __future__ import annotations

from compare.machine import machine
from compare.peers.python_peer import PythonPeer
from compare.workplace import Workplace


class Transformers(PythonPeer):
    """bfloat16 where the CPU multiplies it; float32, which PyTorch then does faster, where it does not."""

    peer = "transformers"
    bits = 16
    module = "compare.transformers_worker"
    package = "transformers"

    def __init__(self) -> None:
        flags = machine()["flags"]
        self.dtype = "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "float32"
        self.label = f"transformers {'bf16' if self.dtype == 'bfloat16' else 'fp32'}"

    def prepare(self, place: Workplace) -> str:
        version = super().prepare(place)
        place.make_checkpoint()
        return version

    def arguments(self, place: Workplace) -> list[str]:
        return [str(place.checkpoint), self.dtype]
