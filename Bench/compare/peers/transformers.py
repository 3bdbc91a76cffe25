"""Hugging Face transformers on PyTorch: a plain forward pass with KV cache."""
from __future__ import annotations

from compare.machine import machine
from compare.peers.python_peer import PythonPeer
from compare.workspace import Workspace


class Transformers(PythonPeer):
    """A contender in bfloat16 if the CPU multiplies it natively, else in float32, which is then faster."""

    peer = "transformers"
    bits = 16
    module = "compare.transformers_worker"
    package = "transformers"

    def __init__(self) -> None:
        flags = machine()["flags"]
        self.dtype = "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "float32"
        self.label = f"transformers {'bf16' if self.dtype == 'bfloat16' else 'fp32'}"

    def prepare(self, workspace: Workspace) -> str:
        version = super().prepare(workspace)
        workspace.make_checkpoint()
        return version

    def arguments(self, workspace: Workspace) -> list[str]:
        return [str(workspace.checkpoint), self.dtype]
