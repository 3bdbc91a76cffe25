"""Compares the trainer with Hugging Face's, in turn, on the same model, batches and optimizer: python -m
phitools.train.against_hf --config FILE [--set ...]

    python -m phitools.train.against_hf --config FILE [--set ...]

Prints tokens per second and the largest difference of the losses of each round, and the median of the rounds' ratios;
every other round begins with Trainer. Needs `transformers` and `accelerate`, and an idle machine. The configuration
must set dropout and optimizer.muon to 0: the two draw different masks, and Trainer has only AdamW.
"""
from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import PhiConfig, PhiForCausalLM, Trainer, TrainerCallback, TrainingArguments

from ..output import command, show
from . import checkpoint, processes
from .config import load
from .loop import Training
from .loss import targets_of
from .optimizers import learning_rate


class _Rows(Dataset):
    """A data set of our sampler's sequences in our order."""

    def __init__(self, training: Training, steps: int) -> None:
        n = training.c.batch.sequences
        self.rows = [
            row for s in range(steps)
            for row in zip(training.sampler.batch(s, 0, n), training.sampler.targets(s, 0, n))]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict[str, Any]:
        row, wanted = map(torch.from_numpy, self.rows[i])
        targets = targets_of(row[None], wanted[None])[0]
        return {"input_ids": row[:-1], "labels": targets, "shift_labels": targets}


class _InOrder(Trainer):
    """A Trainer without shuffling."""

    def _get_train_sampler(self, *_: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class _Clock(TrainerCallback):
    def __init__(self) -> None:
        self.times: list[float] = []
        self.losses: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.perf_counter())

    def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


def ours(training: Training, steps: int) -> tuple[list[float], list[float]]:
    """Return losses and times after each step."""
    losses, times = [], []
    for _ in range(steps):
        losses.append(training.step()["loss"])
        times.append(time.perf_counter())
    return losses, times


def theirs(training: Training, begun: dict[str, Any], steps: int, folder: str) -> tuple[list[float], list[float]]:
    """Return losses and times of Hugging Face's Trainer, from the weights `begun`."""
    c = training.c
    settings = checkpoint.hugging_face_config(training.shape, training.end)
    model = PhiForCausalLM(
        PhiConfig(**{k: v for k, v in settings.items() if k not in ("architectures", "model_type", "torch_dtype")}))
    model.load_state_dict(checkpoint.to_hugging_face(training.shape, begun))
    o, s, clock = c.optimizer, c.schedule, _Clock()
    arguments = TrainingArguments(
        folder, per_device_train_batch_size=c.batch.sequences, max_steps=steps, learning_rate=s.peak,
        weight_decay=o.decay, adam_beta1=o.beta1, adam_beta2=o.beta2,
        adam_epsilon=o.epsilon, max_grad_norm=o.clip, optim="adamw_torch_fused",
        logging_steps=1, save_strategy="no", report_to=[], disable_tqdm=True,
        remove_unused_columns=False, use_cpu=training.p.device.type == "cpu")
    matrices, vectors = [p for p in model.parameters() if p.dim() >= 2], [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": o.decay}, {"params": vectors, "weight_decay": 0.0}], lr=s.peak,
        betas=(o.beta1, o.beta2), eps=o.epsilon, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: learning_rate(i, 1.0, s.warmup, s.steps, s.kind, s.decay, s.floor))
    _InOrder(
        model=model, args=arguments, train_dataset=_Rows(training, steps), optimizers=(optimizer, schedule),
        callbacks=[clock]).train()
    return clock.losses, clock.times


@command
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    try:
        c = load(a.config, a.set)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if a.steps < 4 or a.rounds < 1:
        parser.error("--steps is to be 4 or more, --rounds 1 or more: the first three steps do not count")
    if c.optimizer.muon or any(dataclasses.astuple(c.dropout)) or c.batch.separate or c.lora.rank:
        parser.error(f"{a.config}: dropout, optimizer.muon, batch.separate and lora.rank must be 0 here, "
                     "as by --set optimizer.muon=0.0")
    tokens, ratios = c.batch.sequences * c.batch.context, []
    for i in range(a.rounds):
        with tempfile.TemporaryDirectory() as folder:
            c = dataclasses.replace(c, run=dataclasses.replace(c.run, out=f"{folder}/run"))
            training = Training(c, processes.start(c.run.device))
            begun = {k: v.clone() for k, v in training.model.state_dict().items()}
            runs = [("phitools", partial(ours, training, a.steps)),
                    ("Trainer", partial(theirs, training, begun, a.steps, folder))]
            done = {name: run() for name, run in (reversed(runs) if i % 2 else runs)}
        # After the first steps, which allocate.
        rates = {name: tokens * (len(t) - 3) / (t[-1] - t[2]) for name, (_, t) in done.items()}
        ratios.append(rates["phitools"] / rates["Trainer"])
        apart = max(abs(x - y) for x, y in zip(done["phitools"][0], done["Trainer"][0]))
        show(f"round {i + 1}: phitools {rates['phitools']:,.0f} tokens/s, Trainer {rates['Trainer']:,.0f}, "
              f"{ratios[-1]:.2f} times; largest difference of the losses {apart:.4f}")
    show(f"median of the rounds' ratios {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
