#!/usr/bin/env python3
"""Write the forms that a phi's state dict comes in, and what Hugging Face's from_pretrained makes of each.

    python Tools/golden/state_dict_forms.py        (needs torch, transformers, safetensors)

A form is a container, a type, prefixes of the names, a layout in memory, wrappers around the dictionary, and tensors
more or less. Element n of the model, counted over all parameters in the order of `PARAMETERS`, row-major, is value(n),
which F16 represents exactly; in F64 it is value(n) + (n % 7 - 3) * 2^-40, which float32 rounds. Each form is written,
then loaded with AutoModelForCausalLM.from_pretrained in float32. `hugging_face` is "same" when every parameter is
loaded and equal, else "other" when some are missing, or "refused". `expected` is what `phi convert` does: "same" or
"refused". It takes every form that Hugging Face loads, but for two models of which Hugging Face may take either, and
beyond that prefixes and wrappers that leave no doubt.

The result is forms.json in Tests/PhiCheckpointTests/Fixtures/state-dicts, which also has the torch archives; their
protocol 1 stands for torch's format from before version 1.6. The tests write the safetensors files themselves.
"""

import collections
import json
import shutil
import tempfile
from pathlib import Path

import safetensors.torch
import torch
import transformers
from transformers import AutoModelForCausalLM, PhiConfig

OUT = Path(__file__).resolve().parents[2] / "Tests/PhiCheckpointTests/Fixtures/state-dicts"
HIDDEN, INNER, LAYERS, ROWS = 4, 6, 2, 290
TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def parameters():
    """Yield name below the body's or the head's prefix, whether it is the head's, and the shape."""
    yield "embed_tokens.weight", False, (ROWS, HIDDEN)
    modules = [
        ("input_layernorm", (HIDDEN,)), ("self_attn.q_proj", (HIDDEN, HIDDEN)), ("self_attn.k_proj", (HIDDEN, HIDDEN)),
        ("self_attn.v_proj", (HIDDEN, HIDDEN)), ("self_attn.dense", (HIDDEN, HIDDEN)), ("mlp.fc1", (INNER, HIDDEN)),
        ("mlp.fc2", (HIDDEN, INNER)),
    ]  # fmt: skip
    for block in range(LAYERS):
        for module, shape in modules:
            yield f"layers.{block}.{module}.weight", False, shape
            yield f"layers.{block}.{module}.bias", False, shape[:1]
    yield "final_layernorm.weight", False, (HIDDEN,)
    yield "final_layernorm.bias", False, (HIDDEN,)
    yield "lm_head.weight", True, (ROWS, HIDDEN)
    yield "lm_head.bias", True, (ROWS,)


PARAMETERS = list(parameters())
EXTRAS = {
    "v_head.summary.weight": ("F32", [1, HIDDEN]),
    "score.weight": ("F16", [2, HIDDEN]),
    "model.layers.0.self_attn.bias": ("BOOL", [1, 1, 8, 8]),
    "model.layers.0.self_attn.masked_bias": ("F32", []),
    "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [1]),
    "model.layers.1.self_attn.rotary_emb.inv_freq": ("F32", [1]),
    "model.layers.2.mlp.fc1.weight": ("F32", [INNER, HIDDEN]),
    "optimizer.state.0.exp_avg": ("F32", [ROWS, HIDDEN]),
    "step": ("I64", []),
    "model.rotary_emb.original_inv_freq": ("F32", [1]),
}
INTEGERS = {"BOOL": torch.bool, "I64": torch.int64}


def value(n):
    return (((n * 2654435761) % 2**32 >> 24) - 128) / 64


def tensors(form):
    """Return the state dict of a form as `torch.save` or `save_file` gets it."""
    n, out = 0, collections.OrderedDict()
    for index, (name, is_head, shape) in enumerate(PARAMETERS):
        count = torch.Size(shape).numel()
        kind = form["types"][index % len(form["types"])]
        numbers = torch.tensor([value(n + i) for i in range(count)], dtype=torch.float64)
        if kind == "F64":
            numbers += torch.tensor([((n + i) % 7 - 3) * 2.0**-40 for i in range(count)], dtype=torch.float64)
        n += count
        tensor = LAYOUTS[form["layout"]](numbers.reshape(shape).to(TYPES[kind]))
        full = (form["outside"] if is_head else form["body"]) + name
        if name not in form["missing"]:
            out[full] = tensor
    for name in form["extra"]:
        kind, shape = EXTRAS[name]
        out[name] = torch.zeros(shape, dtype=(TYPES | INTEGERS)[kind])
    for name in form["twice"]:
        body, head = name
        for short, is_head, _ in PARAMETERS:
            out[(head if is_head else body) + short] = out[(form["outside"] if is_head else form["body"]) + short] + 1
    return out


def turned(tensor):
    return tensor.t().contiguous().t() if tensor.dim() == 2 else tensor


def sliced(tensor):
    """Return a part of the columns and rows of a larger tensor."""
    wide = torch.full([size + 3 for size in tensor.shape], 7.0, dtype=tensor.dtype)
    part = wide[tuple(slice(1, 1 + size) for size in tensor.shape)]
    part.copy_(tensor)
    return part


def spaced(tensor):
    """Return every second row and third column of a larger tensor."""
    wide = torch.full([size * (2 + dim) for dim, size in enumerate(tensor.shape)], 7.0, dtype=tensor.dtype)
    part = wide[tuple(slice(0, None, 2 + dim) for dim in range(tensor.dim()))]
    part.copy_(tensor)
    return part


LAYOUTS = {"rows": lambda t: t, "turned": turned, "sliced": sliced, "spaced": spaced,
           "turned and spaced": lambda t: spaced(t.t().contiguous()).t() if t.dim() == 2 else spaced(t)}  # fmt: skip


def shared(state):
    """Return the state dict with all tensors in one storage."""
    flat = torch.cat([t.flatten() for t in state.values()])
    start, out = 0, collections.OrderedDict()
    for name, tensor in state.items():
        out[name] = flat[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()
    return out


def tagged(tensor):
    tensor.tag = 1
    return tensor


def optimizer(state):
    parts = [torch.nn.Parameter(t.clone()) for t in state.values()]
    adam = torch.optim.AdamW(parts, lr=1e-3)
    adam.state[parts[-1]] = {"step": torch.tensor(3.0), "exp_avg": torch.zeros(3)}
    return adam.state_dict()


def training(state):
    return {
        "model": state, "optimizer": optimizer(state), "iter_num": 3, "best_val_loss": 1.5,
        "config": {"lr": 1e-3, "name": "x"}, "rng": torch.arange(16, dtype=torch.uint8), "big": 2**40,
        "shapes": [torch.Size([1, 2]), torch.float16, torch.device("cpu")],
        "names": {"a"}, "none": None, "bytes": b"abc", "pair": (1, [2, 3.5]),
    }  # fmt: skip


WRAPPERS = {
    "none": lambda s: s,
    "dict": dict,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "pytorch-lightning_version": "2.1"},
    "model": lambda s: {"model": s},
    "module": lambda s: {"module": s, "global_steps": 7, "skipped_steps": 0, "lr_scheduler": None},
    "model_state_dict": lambda s: {"epoch": 1, "model_state_dict": s, "loss": 0.25},
    "state.model": lambda s: {"state": {"model": s, "timestamp": {"epoch": [1, 2]}}},
    "training": training,
    "two models": lambda s: {"model": s, "ema": {k: v + 1 for k, v in s.items()}},
    "same model twice": lambda s: {"model": s, "ema": s},
    "with a number": lambda s: {**s, "step": 3},
    "with a tensor": lambda s: {**s, "step": torch.tensor(3)},
    "one storage": shared,
    "parameters": lambda s: collections.OrderedDict((k, torch.nn.Parameter(v)) for k, v in s.items()),
    "parameters with an attribute": lambda s: {k: tagged(torch.nn.Parameter(v)) for k, v in s.items()},
    "tensors with an attribute": lambda s: {k: tagged(v.clone()) for k, v in s.items()},
    "requires grad": lambda s: {k: v.clone().requires_grad_() for k, v in s.items()},
    "list": lambda s: list(s.values()),
    "one tensor": lambda s: next(iter(s.values())),
}


def form(container, types="F32", prefix=("model.", ""), expected="same", **changes):
    return {
        "container": container, "types": [types] if isinstance(types, str) else types, "body": prefix[0],
        "outside": prefix[1], "layout": "rows", "wrapper": "none", "protocol": 2, "extra": [], "missing": [],
        "twice": [], "tied": False,
        "expected": expected,
    } | changes  # fmt: skip


def outer(prefix):
    """Return a prefix of the whole state dict."""
    return (prefix + "model.", prefix)


PREFIXES = [
    ("model.", ""), ("", ""), ("model.model.", ""), outer("model."), outer("_orig_mod."), outer("module."),
    outer("base_model.model."), outer("module._orig_mod."), outer("_orig_mod.module."),
    outer("base_model.model._orig_mod."),
    outer("model.model."), outer("pretrained_model."), outer("policy."), ("model._orig_mod.", ""),
    ("model.module.", ""), ("_orig_mod.", "_orig_mod."), ("module.", "module."), ("model._fsdp_wrapped_module.", ""),
    outer("_fsdp_wrapped_module._checkpoint_wrapped_module."), outer("state_dict.model."),
]  # fmt: skip


def forms():
    for prefix in PREFIXES:
        for kind in TYPES:
            yield form("safetensors", kind, prefix)
    yield form("safetensors", ["F32", "F16", "BF16", "F64"])
    yield form("safetensors", ["BF16", "F32"], ("", ""))
    for prefix in PREFIXES[:7]:
        yield form("safetensors", "F16", prefix, extra=list(EXTRAS))
    for extra in EXTRAS:
        yield form("safetensors", extra=[extra])
    for missing in ("embed_tokens.weight", "layers.0.self_attn.q_proj.weight", "layers.1.mlp.fc2.bias",
                    "final_layernorm.weight", "lm_head.weight", "lm_head.bias"):  # fmt: skip
        yield form("safetensors", "F16", expected="refused", missing=[missing])
        yield form("safetensors", "F16", ("", ""), "refused", missing=[missing])
    for prefix in PREFIXES[:6]:
        yield form("safetensors", "F16", prefix, tied=True, missing=["lm_head.weight"])
    yield form("safetensors", "F16", tied=True)
    yield form("safetensors", "F16", tied=True, missing=["lm_head.bias"], expected="refused")
    for twice in (outer("ref_model."), outer("_orig_mod.")):
        yield form("safetensors", "F16", twice=[twice])
        yield form("safetensors", "F16", outer("policy."), "refused", twice=[twice])
    for twice in (outer("model."), ("", "model.")):
        yield form("safetensors", "F16", expected="refused", twice=[twice])

    for kind in TYPES:
        for layout in ("rows", "turned", "sliced"):
            yield form("torch", kind, layout=layout)
    for layout in LAYOUTS:
        if layout != "rows":
            yield form("torch", "F16", ("", ""), layout=layout, wrapper="parameters")
    yield form("torch", "F16", layout="spaced")
    yield form("torch", "BF16", layout="turned and spaced")
    yield form("torch", ["F32", "F16", "BF16", "F64"], layout="turned")
    for wrapper in WRAPPERS:
        refused = wrapper in ("two models", "list", "one tensor")
        yield form("torch", "F16", wrapper=wrapper, expected="refused" if refused else "same")
    for wrapper in ("training", "parameters with an attribute", "tensors with an attribute"):
        yield form("torch", "BF16", outer("_orig_mod."), wrapper=wrapper, protocol=4)
    for prefix in PREFIXES[1:8]:
        yield form("torch", "F16", prefix)
    yield form("torch", "F16", extra=list(EXTRAS))
    yield form("torch", "F16", extra=list(EXTRAS), wrapper="state_dict")
    yield form("torch", "F16", expected="refused", missing=["lm_head.bias"], wrapper="state_dict")
    for wrapper in ("none", "parameters", "one storage", "training", "with a tensor"):
        yield form("torch", "F16", layout="turned", wrapper=wrapper, protocol=1)
    for kind in TYPES:
        yield form("torch", kind, ("", ""), protocol=1, extra=list(EXTRAS))
    yield form("torch", ["F32", "F16", "BF16", "F64"], outer("_orig_mod."), protocol=1)


def truth(folder):
    """Return what Hugging Face makes of the checkpoint in `folder`, the missing and the unexpected names."""
    try:
        model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    except Exception:
        return "refused", []
    if info["missing_keys"]:
        return "other", []
    n, state, is_wide = 0, model.state_dict(), [kind == "F64" for kind in folder.form["types"]]
    for index, (name, is_head, _) in enumerate(PARAMETERS):
        if folder.form["tied"] and name in folder.form["missing"]:
            same = torch.equal(state[name], state["model.embed_tokens.weight"])
            n += state[name].numel() if same else 0
            continue
        for number in state[name if is_head else "model." + name].flatten().tolist():
            wide = ((n % 7) - 3) * 2.0**-40 if is_wide[index % len(is_wide)] else 0
            if number != torch.tensor(value(n) + wide, dtype=torch.float64).float().item():
                return "other", []
            n += 1
    return "same", sorted(info["unexpected_keys"])


class Folder(type(Path())):
    form: dict


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    config = PhiConfig(
        vocab_size=ROWS, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS, num_attention_heads=1,
        max_position_embeddings=64, partial_rotary_factor=0.5, hidden_act="gelu_new", architectures=["PhiForCausalLM"],
    )  # fmt: skip
    config.save_pretrained(OUT)
    written = []
    with tempfile.TemporaryDirectory() as name:
        for number, this in enumerate(forms()):
            folder = Folder(name, str(number))
            folder.mkdir()
            folder.form = this
            keys = json.loads((OUT / "config.json").read_text()) | {"tie_word_embeddings": this["tied"]}
            (folder / "config.json").write_text(json.dumps(keys))
            state = tensors(this)
            if this["container"] == "safetensors":
                safetensors.torch.save_file(
                    {k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors", {"format": "pt"})
            else:
                path = folder / "pytorch_model.bin"
                state = WRAPPERS[this["wrapper"]](state)
                is_zip = this["protocol"] != 1
                torch.save(
                    state, path, pickle_protocol=max(2, this["protocol"]), _use_new_zipfile_serialization=is_zip)
                this["file"] = f"{sum('file' in other for other in written):02}.bin"
                shutil.copy(path, OUT / this["file"])
            this["hugging_face"], unexpected = truth(folder)
            this["unexpected"] = [name for name in unexpected if isinstance(state[name], torch.Tensor)]
            if this["hugging_face"] == "same" and this["expected"] != "same":
                print("Hugging Face takes what is refused:", this)
            written.append(this)
    names = [[name, is_head, list(shape)] for name, is_head, shape in PARAMETERS]
    extras = {name: [kind, shape] for name, (kind, shape) in EXTRAS.items()}
    lines = ",\n".join(json.dumps(this) for this in written)
    versions = {m.__name__: m.__version__ for m in (torch, transformers, safetensors)}
    (OUT / "forms.json").write_text(
        f'{{"versions": {json.dumps(versions)},\n"parameters": {json.dumps(names)},\n"extras": {json.dumps(extras)},\n'
        f'"forms": [\n{lines}\n]}}\n')
    same = sum(this["hugging_face"] == "same" for this in written)
    print(f"{len(written)} forms, of which Hugging Face loads {same}")


if __name__ == "__main__":
    main()
