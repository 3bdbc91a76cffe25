"""The training loop. What a step computes depends on the configuration and the step's number alone."""
from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ..data import bpe
from ..durable import lock
from ..packed import Sampler, Stream, open_stream, sha256
from . import checkpoint, processes
from .config import Config
from .loss import targets_of
from .model import Phi, Shape
from .muon import Muon
from .record import Record, draw


def learning_rate(step: int, peak: float, warmup: int, steps: int) -> float:
    """Return the rate of a step from 0: linear warm-up to the peak at `warmup`, then linear decay to 0 at `steps`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (steps - step) / max(1, steps - warmup)


def make_optimizers(model: nn.Module, c: Config, device: torch.device) -> list[torch.optim.Optimizer]:
    """Return AdamW, with decay for matrices only, preceded by Muon for the blocks' matrices if configured.

    A block's output bias replaces two biases of Hugging Face's, whose equal steps add up, so its rate is doubled.
    """
    o, muon = c.optimizer, []
    if o.muon:
        h, f = c.model.hidden, c.model.intermediate
        for block in model.blocks:
            muon += [(block.into.weight, [h, h, h, f], 0), (block.out.weight, [h, f], 1)]
    taken = {id(p) for p, _, _ in muon}
    matrices = [p for p in model.parameters() if p.dim() >= 2 and id(p) not in taken]
    joined = [p for n, p in model.named_parameters() if n.endswith("out.bias")]
    vectors = [p for n, p in model.named_parameters() if p.dim() < 2 and not n.endswith("out.bias")]
    adam = torch.optim.AdamW([{"params": matrices, "weight_decay": o.decay}, {"params": vectors, "weight_decay": 0.0},
                              {"params": joined, "weight_decay": 0.0, "lr": 2 * c.schedule.peak}],
                             lr=c.schedule.peak, betas=(o.beta1, o.beta2), eps=o.epsilon,
                             fused=c.run.strategy == "ddp" or device.type == "cuda")
    return [Muon(muon, o.muon, o.decay), adam] if muon else [adam]


def matmul_rate(device: torch.device, precision: str) -> float:
    """Floating-point operations per second of a large matrix product, the reference of the FLOPs share."""
    n = 8192 if device.type == "cuda" else 768  # 768 is too small to keep a GPU busy
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        (a @ a)[0, 0].item()  # synchronises
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


class Training:
    """A training run: resumes if its folder has a checkpoint, otherwise starts."""

    def __init__(self, c: Config, p: processes.Processes) -> None:
        if c.run.threads:
            torch.set_num_threads(c.run.threads)
        if c.batch.sequences % p.world:
            raise ValueError(f"batch.sequences = {c.batch.sequences} can't be divided among {p.world} processes")
        if c.optimizer.muon and p.world > 1 and c.run.strategy == "fsdp":
            raise ValueError("optimizer.muon needs whole matrices: use run.strategy = ddp, or optimizer.muon = 0")
        self.c, self.p, self.out = c, p, Path(c.run.out)
        self.lock = lock(self.out / "lock") if p.first else None
        self.tokenizer_folder = Path(c.data.tokenizer)
        self.tokenizer: Tokenizer = bpe.load(self.tokenizer_folder)
        self.end = bpe.end_of_text(self.tokenizer)
        digest = sha256(self.tokenizer_folder / "tokenizer.json")
        stream = open_stream([Path(f) for f in c.data.train], digest, c.data.verify)
        self.validation: dict[str, Stream] = {
            n: open_stream([Path(f)], digest, c.data.verify) for n, f in sorted(c.data.validation.items())}
        self.sampler = Sampler(stream, c.batch.context, c.batch.sequences, c.run.seed)
        self.share = c.batch.sequences // p.world
        self.micro = c.batch.micro or self.share
        if self.share % self.micro:
            raise ValueError(f"batch.micro = {self.micro} does not divide the {self.share} sequences of a process")

        m = c.model
        self.shape = Shape(
            m.rows or self.tokenizer.get_vocab_size(), m.hidden, m.layers, m.heads, m.intermediate, m.positions,
            m.rotary)
        torch.manual_seed(c.run.seed)
        model = Phi(self.shape, c.dropout)
        self.done = 0
        existing = checkpoint.checkpoints(self.out)
        start = existing[-1] if existing else Path(c.run.init) if c.run.init else None
        if start:
            if (found := checkpoint.read_shape(start)) != self.shape:
                raise ValueError(f"{start}: has {found} instead of {self.shape}")
            model.load_state_dict(checkpoint.load_weights(start, self.shape))
        self.identity = self._identity(digest)
        self.model: Any = processes.spread(model.to(p.device), p, c.run.strategy)
        self.optimizers = make_optimizers(self._plain(), c, p.device)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]
        if existing:
            state = torch.load(existing[-1] / "training.pt", map_location="cpu", weights_only=True)
            if state["identity"] != self.identity:
                raise ValueError(
                    f"{existing[-1]}: belongs to a run of another configuration; choose another run.out or remove it")
            self._restore(state)
            self.done = int(state["step"])
        self.call: Callable[..., Tensor] = torch.compile(self.model) if c.run.compile else self.model
        if p.first:
            self.log, self.samples = (Record(self.out / n, self.done) for n in ("log.jsonl", "samples.jsonl"))

    def _identity(self, tokenizer: str) -> str:
        """The settings that must be the same for a checkpoint to continue: all that affect the curve."""
        c = self.c.as_dict()
        for key in ("out", "threads", "checkpoint_every", "keep", "validate_every", "prompts", "device"):
            c["run"].pop(key)
        c["data"] = {"tokenizer": tokenizer, "tokens": len(self.sampler.stream)}
        c["batch"].pop("micro")
        return hashlib.sha256(json.dumps(c, sort_keys=True).encode()).hexdigest()

    def _plain(self) -> Phi:
        return self.model.module if isinstance(self.model, nn.parallel.DistributedDataParallel) else self.model

    def _restore(self, state: dict[str, Any]) -> None:
        if self.p.world > 1 and self.c.run.strategy == "fsdp":
            processes.load_optimizer(self.model, self.optimizers[-1], state["optimizer"])
            return
        owner = {p: o for o in self.optimizers for group in o.param_groups for p in group["params"]}
        names = dict(self._plain().named_parameters())
        for name, values in state["optimizer"]["state"].items():
            owner[names[name]].state[names[name]] = {k: v.to(self.p.device) for k, v in values.items()}

    def save(self) -> None:
        """Write a checkpoint of the current state."""
        c, p = self.c, self.p
        if p.world > 1 and c.run.strategy == "fsdp":
            weights, optimizer = processes.whole_state(self.model, self.optimizers[-1])
        else:
            weights = self._plain().state_dict()
            optimizer = {
                "state": {
                    n: o.state[w] for n,
                    w in self._plain().named_parameters() for o in self.optimizers if w in o.state}}
        if p.first:
            self.log.sync()
            self.samples.sync()
            folder = self.out / "checkpoints" / f"step-{self.done:08d}"
            checkpoint.save(folder, self.shape, weights, self.tokenizer_folder, self.end, c.dropout,
                            {"step": self.done, "identity": self.identity, "optimizer": optimizer})
            checkpoint.prune(self.out, c.run.keep)
        p.wait()

    def _autocast(self) -> Any:
        return torch.autocast(
            self.p.device.type, torch.bfloat16) if self.c.run.precision == "bfloat16" else nullcontext()

    def step(self) -> dict[str, float]:
        """Update the weights once; return loss (mean over all processes' targets), gradient norm, learning rate."""
        c, p, step = self.c, self.p, self.done
        self.model.train()
        torch.manual_seed(hash((c.run.seed, step, p.rank)) & 0x7FFFFFFF)  # dropout: a function of the step too
        rate = learning_rate(step, 1.0, c.schedule.warmup, c.schedule.steps)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["peak"]
        total, pieces = torch.zeros((), device=p.device), self.share // self.micro
        wanted = self.sampler.targets(step, 0, c.batch.sequences)
        counted = max(1, int(wanted.sum()))
        for i in range(pieces):
            ids, targets = self._rows(wanted, step, p.rank * self.share + i * self.micro)
            with processes.accumulate(self.model, i == pieces - 1), self._autocast():
                loss = self.call(ids, targets) * (p.world / counted)  # gradients are averaged over processes
                loss.backward()
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), c.optimizer.clip or float("inf"))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        value = float(p.mean(total))
        if value != value:
            raise ValueError(
                f"step {step + 1}: the loss is not a number; the last checkpoint is intact, lower schedule.peak")
        self.done += 1
        return {
            "loss": value, "norm": float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm),
            "lr": rate * c.schedule.peak}

    def _rows(self, wanted: np.ndarray, step: int, first: int) -> tuple[Tensor, Tensor]:
        """Return ids and targets of one forward pass. wanted: the step's target marks, [sequences, context]"""
        rows = torch.from_numpy(self.sampler.batch(step, first, self.micro))
        targets = targets_of(rows, torch.from_numpy(wanted[first:first + self.micro]))
        return rows[:, :-1].to(self.p.device), targets.to(self.p.device)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the mean loss over the targets among each validation set's first tokens, without dropout."""
        self.model.eval()
        losses = {}
        for name, stream in self.validation.items():
            context = min(self.c.batch.context, len(stream) - 1)
            count = max(1, min(self.c.data.validation_tokens, len(stream) - 1) // context)
            total, counted, group = torch.zeros((), device=self.p.device), 0, 16
            for i in range(0, count, group):
                spans = range(i, min(i + group, count))
                rows = torch.stack([torch.from_numpy(stream.span(j * context, context + 1)) for j in spans])
                wanted = torch.stack([torch.from_numpy(stream.targets_of(j * context + 1, context)) for j in spans])
                counted += int(wanted.sum())
                with self._autocast():
                    total += self.model(rows[:, :-1].to(self.p.device), targets_of(rows, wanted).to(self.p.device))
            losses[name] = round(float(total) / max(1, counted), 6)
        return losses

    @torch.no_grad()
    def complete(self, prompt: str, most: int = 80) -> str:
        """Complete a prompt greedily."""
        self.model.eval()
        ids = self.tokenizer.encode(prompt).ids
        start = len(ids)
        while len(ids) < min(start + most, self.shape.positions):
            token = int(self.model(torch.tensor([ids], device=self.p.device))[0, -1].argmax())
            if token == self.end:
                break
            ids.append(token)
        return self.tokenizer.decode(ids[start:])

    def run(self) -> Path:
        """Train to the last step and return the folder of the final checkpoint."""
        c, p = self.c, self.p
        final = self.out / "final"
        tokens, peak = c.batch.sequences * c.batch.context, matmul_rate(p.device, c.run.precision) * p.world
        if p.first and self.done == 0:
            self.log.add(
                step=0, parameters=sum(w.numel() for w in self.model.parameters()), tokens_per_step=tokens,
                data_tokens=len(self.sampler.stream),
                flops_per_token=self.shape.flops_per_token(c.batch.context), torch=torch.__version__,
                config=c.as_dict())
        mark, shown = time.monotonic(), self.done
        while self.done < c.schedule.steps:
            line: dict[str, Any] = dict(self.step())
            last = self.done == c.schedule.steps
            seconds = time.monotonic() - mark
            if p.first and (seconds > 10 or last):
                speed = (self.done - shown) * tokens / seconds
                line |= {
                    "tokens_per_second": round(speed),
                    "flops_share": round(speed * self.shape.flops_per_token(c.batch.context) / peak, 3)}
                print(f"step {self.done} of {c.schedule.steps}  loss {line['loss']:.4f}  {speed:,.0f} tokens/s  "
                      f"{100 * line['flops_share']:.0f} % of the matrix rate", file=sys.stderr, flush=True)
                mark, shown = time.monotonic(), self.done
            if self.done % c.run.validate_every == 0 or last:
                line["validation"] = self.validate()
                for prompt in c.run.prompts:
                    completion = self.complete(prompt)
                    if p.first:
                        self.samples.add(step=self.done, prompt=prompt, completion=completion)
                mark, shown = time.monotonic(), self.done
            if p.first:
                self.log.add(step=self.done, **line)
            if self.done % c.run.checkpoint_every == 0 or last:
                self.save()
        if p.first:
            weights = checkpoint.load_weights(checkpoint.checkpoints(self.out)[-1], self.shape)
            checkpoint.save(final, self.shape, weights, self.tokenizer_folder, self.end, c.dropout)
            draw(self.out)
        p.wait()
        return final
