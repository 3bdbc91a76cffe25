"""Train the small phi model from nothing, on the CPU.

    python Tools/train/train.py --corpus build/train/corpus --tokenizer build/train/tokenizer \
        --out build/train/run --minutes 55

Cost: the minutes you give it, on two cores; about 1 GB of memory. Expect a line every 50 steps (loss, learning rate,
tokens a second), the validation loss of each kind of document every 250, `log.jsonl`, and a Hugging Face checkpoint in
`OUT/checkpoint` that is replaced as a whole every few minutes, so that a kill loses little; `OUT/early` is one saved
after `--early` minutes, and `OUT/final` the result.

The recipe is phi-1's, made small: documents joined with `<|endoftext|>` and cut without regard to their borders,
next-token loss, AdamW, warmup, then linear decay to zero, seeded. A step takes two runs of 1024 tokens and reads them
as 8 x 256, 4 x 512 or 2 x 1024: short ones are cheaper, long ones teach the later positions. The learning rate follows
the larger of the elapsed shares of time and of steps, so a run on a busy machine still ends at zero; only a run
limited by --steps alone repeats exactly.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PhiConfig, PhiForCausalLM, PreTrainedTokenizerFast

RUN = 1024  # tokens of one run; a step has `--runs` of them


def tokens_of(path: Path, tokenizer: PreTrainedTokenizerFast) -> dict[str, np.ndarray]:
    """Token stream per kind of document and, under "all", of all of them in file order."""
    streams: dict[str, list[int]] = {"all": []}
    with open(path, encoding="utf-8") as f:
        documents = [json.loads(line) for line in f]
    encoded = tokenizer([d["text"] for d in documents])["input_ids"]
    for d, ids in zip(documents, encoded):
        for kind in ("all", d["kind"]):
            streams.setdefault(kind, []).extend([*ids, tokenizer.eos_token_id])
    return {k: np.array(v, dtype=np.int64) for k, v in streams.items()}


def make_model(vocab: int, eos: int) -> PhiForCausalLM:
    config = PhiConfig(vocab_size=vocab, hidden_size=256, intermediate_size=1024, num_hidden_layers=8,
                       num_attention_heads=4, max_position_embeddings=RUN, hidden_act="gelu_new",
                       resid_pdrop=0.0, embd_pdrop=0.0, attention_dropout=0.0, tie_word_embeddings=False,
                       bos_token_id=eos, eos_token_id=eos, partial_rotary_factor=0.5)
    model = PhiForCausalLM(config)
    for layer in model.model.layers:  # the same function as gelu_new, in one fused operation
        layer.mlp.activation_fn = torch.nn.GELU(approximate="tanh")
    return model


def save(model: PhiForCausalLM, tokenizer_dir: Path, target: Path) -> None:
    """Write a checkpoint beside `target`, then put it in its place."""
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    model.save_pretrained(fresh)
    (fresh / "model.safetensors").chmod(0o644)
    for f in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        shutil.copy(tokenizer_dir / f, fresh / f)
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(fresh, target)
    shutil.rmtree(old, ignore_errors=True)


@torch.no_grad()
def evaluate(model: PhiForCausalLM, streams: dict[str, np.ndarray], most: int) -> dict[str, float]:
    """Mean next-token loss per kind on the first `most` tokens, in blocks of 512."""
    model.eval()
    result: dict[str, float] = {}
    for kind, ids in streams.items():
        if kind == "all":
            continue
        blocks = max(1, min(most, len(ids) - 1) // 512)
        length = min(512, len(ids) - 1)
        total = 0.0
        for b in range(blocks):
            part = torch.from_numpy(ids[b * length:(b + 1) * length + 1])
            logits = model(input_ids=part[None, :-1], use_cache=False).logits[0]
            total += cross_entropy(logits.float(), part[1:]).item()
        result[kind] = round(total / blocks, 4)
    model.train()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="start from the weights of this checkpoint (the optimizer starts anew)")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--runs", type=int, default=2, help="runs of 1024 tokens in a step")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--decay", type=float, default=0.1, help="weight decay of the matrices")
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--early", type=float, default=5.0, help="minutes until the early checkpoint")
    parser.add_argument("--every", type=float, default=4.0, help="minutes between checkpoints")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1337)
    args = parser.parse_args()
    if args.minutes == math.inf and args.steps == 10**9:
        parser.error("give --minutes or --steps")

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    r = np.random.default_rng(args.seed)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.tokenizer)
    stream = tokens_of(args.corpus / "train.jsonl", tokenizer)["all"]
    held = tokens_of(args.corpus / "val.jsonl", tokenizer)
    model = make_model(len(tokenizer), tokenizer.eos_token_id)
    if args.init:
        model.load_state_dict(PhiForCausalLM.from_pretrained(args.init, dtype=torch.float32).state_dict())
    model.train()
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": args.decay}, {"params": others, "weight_decay": 0.0}],
                                  lr=args.lr, betas=(0.9, 0.98), eps=1e-8, fused=True)
    args.out.mkdir(parents=True, exist_ok=True)
    log = open(args.out / "log.jsonl", "w", encoding="utf-8")

    def note(**row: object) -> None:
        log.write(json.dumps(row) + "\n")
        log.flush()
        print(row, flush=True)

    note(parameters=sum(p.numel() for p in model.parameters()), tokens=len(stream), torch=torch.__version__,
         arguments={k: str(v) for k, v in vars(args).items() if not isinstance(v, Path)})
    runs = (len(stream) - 1) // RUN
    order: list[int] = []
    start = saved = marked = time.time()
    early_done = False
    losses: list[float] = []
    step = 0
    while True:
        now = time.time()
        share = max((now - start) / (60 * args.minutes), step / args.steps)
        if share >= 1:
            break
        lr = args.lr * min(1.0, (step + 1) / args.warmup) * (1 - share)
        for group in optimizer.param_groups:
            group["lr"] = lr
        if len(order) < args.runs:
            order = r.permutation(runs).tolist() + order
        picked = [order.pop() * RUN for _ in range(args.runs)]
        context = int(r.choice([256, 512, 1024], p=[0.55, 0.35, 0.1]))
        x = torch.from_numpy(np.stack([stream[p:p + RUN] for p in picked])).view(-1, context)
        y = torch.from_numpy(np.stack([stream[p + 1:p + RUN + 1] for p in picked])).view(-1)
        logits = model(input_ids=x, use_cache=False).logits
        loss = cross_entropy(logits.view(len(y), -1), y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        step += 1
        if step % 50 == 0:
            now = time.time()
            note(step=step, minutes=round((now - start) / 60, 2), loss=round(sum(losses) / len(losses), 4),
                 lr=round(lr, 7), tokens_per_second=round(50 * args.runs * RUN / (now - marked)))
            marked, losses = now, []
        if step % 250 == 0:
            note(step=step, validation=evaluate(model, held, 6144))
            marked = time.time()
        if not early_done and time.time() - start > 60 * args.early:
            save(model, args.tokenizer, args.out / "early")
            early_done = True
        if time.time() - saved > 60 * args.every:
            save(model, args.tokenizer, args.out / "checkpoint")
            saved = time.time()
    seconds = time.time() - start
    model.eval()
    save(model, args.tokenizer, args.out / "final")
    note(step=step, minutes=round(seconds / 60, 2), tokens=step * args.runs * RUN, epochs=round(step * args.runs / runs, 3),
         tokens_per_second=round(step * args.runs * RUN / seconds), last_losses=round(sum(losses) / max(1, len(losses)), 4),
         validation=evaluate(model, held, 10**9), train_sample=evaluate(model, {"train": stream}, 32768))


if __name__ == "__main__":
    main()
