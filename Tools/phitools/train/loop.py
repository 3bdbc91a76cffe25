"""The training loop. What a step computes depends on the configuration and the step's number alone."""
from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ..data import bpe
from ..durable import fresh_name, lock
from ..output import say
from ..packed import Stream, open_stream, sha256
from . import base, checkpoint, lora, processes, sharded
from .check import BEST, FINAL, check_options, check_run, identity
from .config import Config
from .loss import targets_of
from .model import Phi, deepened
from .optimizers import learning_rate, make_optimizers
from .record import LOG, SAMPLES, Record, draw
from .report import reporter
from .shape import Shape

DIVERGED = "{} is not finite; begin again in another run.out, with a lower schedule.peak"


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


SIZES = ("hidden", "layers", "heads", "intermediate", "positions", "rows")


class Training:
    """A training run: resumes if its folder has a checkpoint, otherwise starts."""

    def __init__(self, c: Config, p: processes.Processes) -> None:
        if c.run.threads:
            torch.set_num_threads(c.run.threads)
        check_options(c, p)
        self.c, self.p, self.out = c, p, Path(c.run.out)
        self.lock = lock(self.out / "lock") if p.first else None
        try:
            self._prepare(c, p)
        except BaseException:
            if self.lock:
                self.lock.close()
            raise

    def _prepare(self, c: Config, p: processes.Processes) -> None:
        """Read the data and the last checkpoint, and make the model."""
        self.tokenizer_folder = Path(c.data.tokenizer or c.run.init)
        self.tokenizer: Tokenizer = bpe.load(self.tokenizer_folder)
        self.end = bpe.end_of_text(self.tokenizer)
        digest = sha256(self.tokenizer_folder / "tokenizer.json")
        stream = open_stream([Path(f) for f in c.data.train], digest, c.data.verify)
        self.validation: dict[str, Stream] = {
            n: open_stream([Path(f)], digest, c.data.verify) for n, f in sorted(c.data.validation.items())}
        self.sampler, existing = check_run(c, self.tokenizer, digest, stream, self.validation)
        self.share = c.batch.sequences // p.world
        self.micro = c.batch.micro or self.share
        start = Path(c.run.init) if c.run.init and (c.lora.rank or not existing) else existing[-1] if existing else None
        self.shape = self._shape(start)
        torch.manual_seed(c.run.seed)
        model = Phi(self.shape, c.dropout)
        self.done, self.best = 0, float("inf")
        self.settings = checkpoint.hugging_face_config(self.shape, self.end, c.dropout)
        if start:
            if not (start / sharded.FOLDER).exists():
                found = base.read_shape(start)
                model.load_state_dict(deepened(found, base.load_weights(start, found), self.shape.layers))
            elif start not in existing:
                raise ValueError(
                    f"{start}: holds the parts of a sharded run, which alone goes on from them; take its final "
                    "checkpoint")
            kept = (*checkpoint.OURS, "num_hidden_layers")
            self.settings = base.read_config(start) | {k: self.settings[k] for k in kept}
        if c.lora.rank:
            lora.adapt(model, c.lora)
            if existing:
                lora.load(existing[-1], model)
        self.widths = torch.from_numpy(bpe.widths(self.tokenizer, self.shape.rows))
        self.model: Any = processes.spread(model.to(p.device), p, c.run.strategy)
        self.optimizers = make_optimizers(self._plain(), c, p.device)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]
        if existing:
            state = checkpoint.read_training(existing[-1])
            if (existing[-1] / sharded.FOLDER).exists():
                state["optimizer"] = sharded.load(existing[-1], self._plain())
            self._restore(state)
            self.done, self.best = int(state["step"]), float(state["best"])
        # That of a checkpoint has been compared; of LoRA it takes the hash of all weights of the base.
        self.identity = state["identity"] if existing else identity(c, digest, stream.digest)
        if (first := p.share(self.done)) != self.done:
            raise ValueError(
                f"{self.out}: has step {self.done} here and step {first} in the first process; it is to be one folder "
                "for all processes, on a file system that they share")
        self.call: Callable[..., Tensor] = torch.compile(self.model) if c.run.compile else self.model

    def _shape(self, start: Path | None) -> Shape:
        """Return the configured shape, or that of the checkpoint to start from; ValueError if they differ. A run that
        starts from other weights may have several times their layers."""
        m, rows = self.c.model, self.tokenizer.get_vocab_size()
        if start:
            found = base.read_shape(start)
            wanted = {name: getattr(m, name) for name in SIZES if getattr(m, name)}
            if wanted and m.rotary != found.rotary:
                wanted["rotary"] = m.rotary
            if start == Path(self.c.run.init) and not self.c.lora.rank and m.layers % found.layers == 0 < m.layers:
                found = replace(found, layers=m.layers)
            if differ := [f"{getattr(found, n)} {n}, not {v}" for n, v in wanted.items() if v != getattr(found, n)]:
                raise ValueError(f"{start}: has {'; '.join(differ)} of [model]")
        else:
            found = Shape(m.rows or rows, m.hidden, m.layers, m.heads, m.intermediate, m.positions, m.rotary)
        if rows > found.rows:
            raise ValueError(f"{self.tokenizer_folder}: {rows} tokens, but the model has {found.rows} rows")
        if self.c.batch.context > found.positions:
            raise ValueError(f"batch.context = {self.c.batch.context} exceeds the model's {found.positions} positions")
        return found

    def _plain(self) -> Phi:
        return self.model.module if isinstance(self.model, nn.parallel.DistributedDataParallel) else self.model

    def _restore(self, state: dict[str, Any]) -> None:
        owner = {p: o for o in self.optimizers for group in o.param_groups for p in group["params"]}
        names = dict(self._plain().named_parameters())
        for name, values in state["optimizer"].items():
            weight = names[name]
            owner[weight].state[weight] = {k: processes.part(v, weight) for k, v in values.items()}

    def _weights(self) -> dict[str, Tensor]:
        """Return the trained weights, gathered; all processes must call this."""
        return {
            n: processes.whole(w.detach()) for n, w in self._plain().named_parameters()
            if w.requires_grad or not self.c.lora.rank}

    def save(self) -> None:
        """Write a checkpoint of the current state."""
        folder, weights = self.out / "checkpoints" / f"step-{self.done:08d}", dict(self._plain().named_parameters())
        states = {n: dict(o.state[w]) for n, w in weights.items() for o in self.optimizers if w in o.state}
        training: dict[str, Any] = {"step": self.done, "identity": self.identity, "best": self.best}
        if not self.c.run.sharded:
            training["optimizer"] = {n: {k: processes.whole(v) for k, v in s.items()} for n, s in states.items()}
            weights = self._weights()

        def write_part(fresh: Path) -> None:
            self.p.wait()  # until the first process has made the folder
            sharded.save(fresh, weights, states)
        if self.p.first:
            self.log.sync()
            self.samples.sync()
            self._write(folder, weights, training, write_part if self.c.run.sharded else None)
            checkpoint.prune(self.out, self.c.run.keep)
        elif self.c.run.sharded:
            write_part(fresh_name(folder))
        self.p.wait()

    def _write(
            self, folder: Path, weights: dict[str, Tensor], training: dict[str, Any] | None = None,
            write_part: Callable[[Path], None] | None = None) -> None:
        lora, base = (self.c.lora, self.c.run.init) if self.c.lora.rank else (None, "")
        checkpoint.save(
            folder, self.shape, weights, self.tokenizer_folder, self.settings, training, lora, base, write_part)

    def _keep_best(self, losses: dict[str, float]) -> None:
        """Write the folder `best` if the watched loss is the lowest so far."""
        value = losses[self.c.run.best]
        if value < self.best:
            self.best, weights = value, self._weights()
            if self.p.first:
                self._write(self.out / BEST, weights)
            self.p.wait()

    def _autocast(self) -> Any:
        return torch.autocast(
            self.p.device.type, torch.bfloat16) if self.c.run.precision == "bfloat16" else nullcontext()

    def rehearse(self) -> float:
        """Return the seconds of a step's passes, run once before without the clock; no weight changes."""
        self.model.train()
        wanted = self.sampler.targets(self.done, 0, self.c.batch.sequences)
        for _ in range(2):
            begun = time.monotonic()
            with self._autocast():
                loss = self.call(*self._rows(wanted, self.done, self.p.rank * self.share))
                loss.backward()
            float(loss.detach())  # synchronises with a GPU
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
        return (time.monotonic() - begun) * (self.share // self.micro)

    def step(self) -> dict[str, float]:
        """Update the weights once; return loss (mean over all processes' targets), gradient norm, learning rate."""
        c, p, step = self.c, self.p, self.done
        self.model.train()
        torch.manual_seed(hash((c.run.seed, step, p.rank)) & 0x7FFFFFFF)  # dropout: a function of the step too
        s = c.schedule
        rate = learning_rate(step, 1.0, s.warmup, s.steps, s.kind, s.decay, s.floor)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["peak"]
        total, pieces = torch.zeros((), device=p.device), self.share // self.micro
        wanted = self.sampler.targets(step, 0, c.batch.sequences)
        counted = max(1, int(wanted.sum()))
        for i in range(pieces):
            rows = self._rows(wanted, step, p.rank * self.share + i * self.micro)
            with processes.accumulate(self.model, i == pieces - 1), self._autocast():
                loss = self.call(*rows) * (p.world / counted)  # gradients are averaged over processes
                loss.backward()
            total += loss.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), c.optimizer.clip or float("inf"))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        value, length = float(p.mean(total)), float(processes.whole(norm))  # last, since it waits for a GPU
        if not (math.isfinite(value) and math.isfinite(length)):
            raise ValueError(DIVERGED.format(f"step {step + 1}: the loss or its gradient"))
        self.done += 1
        return {"loss": value, "norm": length, "lr": rate * c.schedule.peak}

    def _rows(self, wanted: np.ndarray, step: int, first: int) -> tuple[Tensor, ...]:
        """Return the model's arguments of one forward pass. wanted: the step's target marks, [sequences, context]"""
        return self._arguments(
            torch.from_numpy(self.sampler.batch(step, first, self.micro)),
            torch.from_numpy(wanted[first:first + self.micro]))

    def _arguments(self, rows: Tensor, wanted: Tensor) -> tuple[Tensor, ...]:
        """Return ids, targets and, with batch.separate, each token's number of a document."""
        found = [rows[:, :-1], targets_of(rows, wanted)]
        if self.c.batch.separate:
            ends = (found[0] == self.end).int()
            found.append(ends.cumsum(1) - ends)
        return tuple(t.to(self.p.device) for t in found)

    @torch.no_grad()
    def validate(self) -> dict[str, dict[str, float]]:
        """Return the mean loss over the targets among each validation set's first tokens, without dropout, in nats a
        token and in bits a byte of text."""
        self.model.eval()
        losses, rates = {}, {}
        for name, stream in self.validation.items():
            usable = len(stream) - (not stream.rows)
            context = min(self.c.batch.context, usable)
            count = max(1, min(self.c.data.validation_tokens, usable) // context)
            total, counted, width, group = torch.zeros((), device=self.p.device), 0, 0, 16
            for i in range(0, count, group):
                spans = range(i, min(i + group, count))
                rows = torch.stack([torch.from_numpy(stream.span(j * context, context + 1)) for j in spans])
                wanted = torch.stack([torch.from_numpy(stream.targets_of(j * context + 1, context)) for j in spans])
                counted += int(wanted.sum())
                width += int((self.widths[rows[:, 1:]] * wanted).sum())
                with self._autocast():
                    total += self.model(*self._arguments(rows, wanted))
            losses[name] = round(float(total) / max(1, counted), 6)
            rates[name] = round(float(total) / math.log(2) / max(1, width), 6)
        return {"validation": losses, "bits_per_byte": rates}

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
        final = self.out / FINAL
        tokens, peak = c.batch.sequences * c.batch.context, matmul_rate(p.device, c.run.precision) * p.world
        if p.first:  # and not before: a log that holds nothing does not tell that the folder is a run's
            self.samples = Record(self.out / SAMPLES, self.done)
            self.log = Record(self.out / LOG, self.done, {
                "step": 0, "parameters": sum(w.numel() for w in self.model.parameters()), "tokens_per_step": tokens,
                "data_tokens": len(self.sampler.stream),
                "flops_per_token": self.shape.flops_per_token(c.batch.context), "torch": torch.__version__,
                "config": c.as_dict()})
        report = reporter(c.run.report if p.first else "", self.out, self.done, c.as_dict())
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
                say(f"step {self.done} of {c.schedule.steps}  loss {line['loss']:.4f}  {speed:,.0f} tokens/s  "
                      f"{100 * line['flops_share']:.0f} % of the matrix rate")
                mark, shown = time.monotonic(), self.done
            if self.done % c.run.validate_every == 0 or last:
                line |= self.validate()
                if not all(map(math.isfinite, line["validation"].values())):
                    raise ValueError(DIVERGED.format(f"step {self.done}: a loss of validation"))
                if c.run.best:
                    self._keep_best(line["validation"])
                for prompt in c.run.prompts:
                    completion = self.complete(prompt)
                    if p.first:
                        self.samples.add(step=self.done, prompt=prompt, completion=completion)
                mark, shown = time.monotonic(), self.done
            if p.first:
                self.log.add(step=self.done, **line)
                report(self.done, line)
            if self.done % c.run.checkpoint_every == 0 or last:
                self.save()
        weights = self._weights()
        if p.first:
            if not all(bool(w.isfinite().all()) for w in weights.values()):
                raise ValueError(DIVERGED.format("the last step: a weight"))
            self._write(final, weights)
            draw(self.out)
        p.wait()
        return final
