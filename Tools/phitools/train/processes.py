"""The processes of a run, and how a model is distributed over them. `torchrun` describes them in the environment;
without it there is one."""
from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


@dataclass(frozen=True)
class Processes:
    """The rank of this process among all, and its device."""

    rank: int
    world: int
    device: torch.device
    local: int = 1
    """How many of the processes are on this machine."""

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """Return a value's mean over all processes."""
        if self.world > 1:
            dist.all_reduce(value)
            value /= self.world
        return value

    def share(self, value: Any) -> Any:
        """Return the first process's value in all of them."""
        values = [value]
        if self.world > 1:
            dist.broadcast_object_list(values, 0, device=self.device)
        return values[0]

    def wait(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            dist.barrier()


def start(device: str) -> Processes:
    """Join the process group, with gloo on CPUs and NCCL on GPUs."""
    rank, world, local, here = (
        int(os.environ.get(k, d)) for k, d in (
            ("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1")))
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("run.device = cuda: PyTorch finds no GPU")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    where = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(where)
    if world > 1:
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    return Processes(rank, world, where, here)


def stop(p: Processes) -> None:
    """Leave the process group."""
    if p.world > 1:
        dist.destroy_process_group()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a GPU or this machine has no memory left."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or bool(
        re.search("can't allocate memory|not enough memory|out of memory", str(error)))


def spread(model: nn.Module, p: Processes, strategy: str) -> nn.Module:
    """The model, distributed over all processes."""
    if p.world == 1:
        return model
    if strategy == "fsdp":
        from torch.distributed.fsdp import fully_shard
        for block in model.blocks:
            fully_shard(block)
        return fully_shard(model)
    return nn.parallel.DistributedDataParallel(model)


def accumulate(model: nn.Module, last: bool) -> AbstractContextManager[Any]:
    """A context for a micro-batch: gradients are exchanged after the last one only."""
    if isinstance(model, nn.parallel.DistributedDataParallel) and not last:
        return model.no_sync()
    if hasattr(model, "set_requires_gradient_sync"):
        model.set_requires_gradient_sync(last)
    return nullcontext()


def whole(tensor: Tensor) -> Tensor:
    """Gather a tensor that is distributed over the processes, each of which must call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part(tensor: Tensor, like: Tensor) -> Tensor:
    """Return this process's part of a whole tensor, distributed as `like` is."""
    if isinstance(like, DTensor) and tensor.shape == like.shape:
        return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)
    return tensor.to(like.device)
