#!/usr/bin/env python3
"""Write the tiny checkpoints of Tests/PhiCheckpointTests, with the libraries that wrote the published ones.

    python Tools/golden/checkpoints.py        (needs torch, transformers, tokenizers, safetensors)

A model of 2 blocks in all four naming schemes, both containers, whole and split, in F32, F16 and BF16, and one with
grouped-query attention. No expected values are stored: element n of the model, counting all parameters in the order of
`parts`, row-major, is value(n), which all three types represent exactly. Padding rows of embedding and head are 9.
There are no random numbers; made.json records the libraries' versions.
"""

import collections
import json
import shutil
from pathlib import Path

import safetensors
import safetensors.torch
import tokenizers
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.convert_slow_tokenizer import bytes_to_unicode

HERE = Path(__file__).resolve().parents[2] / "Tests/PhiCheckpointTests/Fixtures"
HIDDEN, INNER, LAYERS, HEADS, CONTEXT, ROWS = 16, 24, 2, 2, 64, 296
HEAD = HIDDEN // HEADS


def value(n):
    return (((n * 2654435761) % 2**32 >> 24) - 128) / 64


def parts(vocabulary, kv_heads):
    """Yield (layer, block or None, kind, shape) of every parameter, in the order of Parameter.all(layers:)."""
    yield "embedding", None, "weight", (vocabulary, HIDDEN)
    for block in range(LAYERS):
        for layer, rows, columns in [
            ("norm", HIDDEN, None),
            ("query", HIDDEN, HIDDEN),
            ("key", kv_heads * HEAD, HIDDEN),
            ("value", kv_heads * HEAD, HIDDEN),
            ("dense", HIDDEN, HIDDEN),
            ("fc1", INNER, HIDDEN),
            ("fc2", HIDDEN, INNER),
        ]:
            yield layer, block, "weight", (rows,) if columns is None else (rows, columns)
            yield layer, block, "bias", (rows,)
    yield "final_norm", None, "weight", (HIDDEN,)
    yield "final_norm", None, "bias", (HIDDEN,)
    yield "head", None, "weight", (vocabulary, HIDDEN)
    yield "head", None, "bias", (vocabulary,)


def canonical(vocabulary, kv_heads=HEADS):
    n, tensors = 0, {}
    for layer, block, kind, shape in parts(vocabulary, kv_heads):
        count = torch.Size(shape).numel()
        tensor = torch.tensor([value(n + i) for i in range(count)], dtype=torch.float32).reshape(shape)
        n += count
        if layer in ("embedding", "head"):
            padding = torch.full((ROWS - vocabulary, *shape[1:]), 9.0)
            tensor = torch.cat([tensor, padding])
        tensors[layer, block, kind] = tensor
    return tensors


def name(tensors, names, fuse=None):
    """Rename tensors; `fuse` concatenates a block's q, k and v into the rows of one module."""
    out = collections.OrderedDict()
    for (layer, block, kind), tensor in tensors.items():
        if fuse and layer in ("query", "key", "value"):
            if layer == "query":
                out[f"{names('fused', block)}.{kind}"] = fuse(
                    *(tensors[third, block, kind] for third in ("query", "key", "value"))
                )
            continue
        out[f"{names(layer, block)}.{kind}"] = tensor
    return out


def current(layer, block):
    return {
        "embedding": "model.embed_tokens",
        "norm": f"model.layers.{block}.input_layernorm",
        "query": f"model.layers.{block}.self_attn.q_proj",
        "key": f"model.layers.{block}.self_attn.k_proj",
        "value": f"model.layers.{block}.self_attn.v_proj",
        "fused": f"model.layers.{block}.self_attn.query_key_value",
        "dense": f"model.layers.{block}.self_attn.dense",
        "fc1": f"model.layers.{block}.mlp.fc1",
        "fc2": f"model.layers.{block}.mlp.fc2",
        "final_norm": "model.final_layernorm",
        "head": "lm_head",
    }[layer]


def old(block_name, embedding, final_norm, head):
    def names(layer, block):
        in_block = {"norm": "ln", "fused": "mixer.Wqkv", "dense": "mixer.out_proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}
        if layer in in_block:
            return f"{block_name(block)}.{in_block[layer]}"
        return {"embedding": embedding, "final_norm": final_norm, "head": head}[layer]

    return names


transformer = old(lambda i: f"transformer.h.{i}", "transformer.embd.wte", "lm_head.ln", "lm_head.linear")
mixformer = old(lambda i: f"layers.{i + 1}", "layers.0.wte", f"layers.{LAYERS + 1}.ln", f"layers.{LAYERS + 1}.linear")


def three_by_heads(q, k, v):
    return torch.cat([q, k, v])


def heads_by_three(q, k, v):
    split = [t.reshape(HEADS, HEAD, *t.shape[1:]) for t in (q, k, v)]
    return torch.stack(split, dim=1).reshape(3 * HEADS * HEAD, *q.shape[1:])


def frequencies(tensors, pattern):
    for block in range(LAYERS):
        tensors[pattern.format(block, block + 1)] = 1.0 / 10000 ** (torch.arange(0, 4, 2) / 4)


def split(tensors, count, pattern, index, save):
    """Write `tensors` as `count` files and an index."""
    files, weight_map = [f"{pattern[0]}-{i + 1:05}-of-{count:05}{pattern[1]}" for i in range(count)], {}
    shards = [collections.OrderedDict() for _ in files]
    for i, (key, tensor) in enumerate(tensors.items()):
        shard = i * count // len(tensors)
        shards[shard][key] = tensor
        weight_map[key] = files[shard]
    for file, shard in zip(files, shards):
        save(shard, index.parent / file)
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1) + "\n")


def tokenizer():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    text = ["def add(first, second):\n    return first + second\n", 'print("größe, 数", [x for x in range(10)])\n'] * 4
    made.train_from_iterator(
        text,
        trainers.BpeTrainer(
            vocab_size=280,
            special_tokens=[],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made.add_special_tokens(["<|endoftext|>"])
    made.add_tokens([AddedToken(" " * n, normalized=True) for n in (4, 3, 2)] + [AddedToken("\t\t"), AddedToken("→")])
    return made


def fast(made, folder, strings):
    saved = json.loads(made.to_str())
    if strings:  # as tokenizers before 0.20 wrote them
        saved["model"]["merges"] = [" ".join(pair) for pair in saved["model"]["merges"]]
    (folder / "tokenizer.json").write_text(json.dumps(saved, ensure_ascii=False, indent=1) + "\n")


def slow(made, folder):
    saved = json.loads(made.to_str())
    special = [t for t in saved["added_tokens"] if t["special"]]
    plain = [t for t in saved["added_tokens"] if not t["special"]]
    vocab = saved["model"]["vocab"] | {t["content"]: t["id"] for t in special}
    (folder / "vocab.json").write_text(json.dumps(vocab) + "\n")
    merges = "\n".join(" ".join(pair) for pair in saved["model"]["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    (folder / "added_tokens.json").write_text(json.dumps({t["content"]: t["id"] for t in plain}) + "\n")
    settings = {"add_prefix_space": False, "unk_token": "<|endoftext|>", "tokenizer_class": "CodeGenTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")


def expected_tokens(made):
    """Return each token's bytes in hexadecimal, a line per id; special tokens are marked !, other added tokens +."""
    undo = {character: byte for byte, character in bytes_to_unicode().items()}
    added, lines = made.get_added_tokens_decoder(), []
    for token in range(made.get_vocab_size()):
        text = made.id_to_token(token)
        plain = text.encode() if token in added else bytes(undo[c] for c in text)
        mark = "" if token not in added else "!" if added[token].special else "+"
        lines.append(plain.hex() + mark)
    return "\n".join(lines) + "\n"


def config(kv_heads=None, **changes):
    return transformers.PhiConfig(
        vocab_size=ROWS, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=kv_heads, max_position_embeddings=CONTEXT,
        partial_rotary_factor=0.5, rope_theta=10000.0, **changes,
    )  # fmt: skip


def first_config(model_type, model_class, **changes):
    """Return a config.json as published with phi-1, phi-1.5 and phi-2 in 2023."""
    return {
        "activation_function": "gelu_new", "architectures": [model_class], "attn_pdrop": 0.0, "embd_pdrop": 0.0,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": model_type, "n_embd": HIDDEN,
        "n_head": HEADS, "n_inner": INNER, "n_layer": LAYERS, "n_positions": CONTEXT, "resid_pdrop": 0.0,
        "rotary_dim": HEAD // 2, "tie_word_embeddings": False, "torch_dtype": "float16", "vocab_size": ROWS,
    } | changes  # fmt: skip


def write_json(path, content):
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    made = tokenizer()
    size = made.get_vocab_size()
    tensors = canonical(size)

    def folder(name):
        (HERE / name).mkdir(parents=True)
        return HERE / name

    # Current transformers, whole, written by save_pretrained.
    place = folder("current-safetensors-f32")
    model = transformers.PhiForCausalLM(config())
    model.load_state_dict(name(tensors, current), strict=True)
    model.save_pretrained(place)
    (place / "generation_config.json").unlink(missing_ok=True)
    fast(made, place, strings=False)

    # The same with grouped-query attention and half the key and value width.
    place = folder("grouped-safetensors-bf16")
    model = transformers.PhiForCausalLM(config(kv_heads=1))
    model.load_state_dict(name(canonical(size, kv_heads=1), current), strict=True)
    model.to(torch.bfloat16).save_pretrained(place)
    (place / "generation_config.json").unlink(missing_ok=True)
    fast(made, place, strings=True)

    # transformers 4.36, split safetensors.
    place = folder("first-port-safetensors-split-bf16")
    named = name(tensors, current, heads_by_three)
    named = collections.OrderedDict((key, t.bfloat16()) for key, t in named.items())
    split(
        named, 3, ("model", ".safetensors"), place / "model.safetensors.index.json",
        lambda shard, path: safetensors.torch.save_file(shard, path, {"format": "pt"}),
    )  # fmt: skip
    old_keys = {"partial_rotary_factor": 0.5, "rope_theta": 10000.0, "rope_scaling": None, "eos_token_id": None}
    saved = json.loads(config().to_json_string()) | old_keys | {"num_key_value_heads": None}
    del saved["rope_parameters"]
    write_json(place / "config.json", saved)
    slow(made, place)

    # phi-2's first publication: one pickle, with rotary frequencies as in old files.
    place = folder("transformer-bin-f16")
    named = name(tensors, transformer, three_by_heads)
    frequencies(named, "transformer.h.{0}.mixer.rotary_emb.inv_freq")
    torch.save(collections.OrderedDict((key, t.half()) for key, t in named.items()), place / "pytorch_model.bin")
    changes = {"n_head_kv": None, "flash_attn": False, "fused_dense": False}
    write_json(place / "config.json", first_config("phi-msft", "PhiForCausalLM", **changes))
    slow(made, place)

    # phi-1's first publication, split pickles, parameters instead of tensors, and one storage for all norms.
    place = folder("mixformer-bin-split-f32")
    named = name(tensors, mixformer, three_by_heads)
    norms = [key for key in named if ".ln." in key]
    shared = torch.cat([named[key] for key in norms])
    for i, key in enumerate(norms):
        named[key] = shared[i * HIDDEN : (i + 1) * HIDDEN]
    frequencies(named, "layers.{1}.mixer.rotary_emb.inv_freq")
    named = collections.OrderedDict((key, torch.nn.Parameter(t)) for key, t in named.items())
    split(named, 2, ("pytorch_model", ".bin"), place / "pytorch_model.bin.index.json", torch.save)
    architecture = {"block_cls": "parallel", "mixer": {}, "mlp": {"mlp_cls": "mlp"}}
    changes = {"architecture": architecture, "phyagi_version": "0.0.4.dev"}
    write_json(place / "config.json", first_config("mixformer-sequential", "MixFormerSequentialForCausalLM", **changes))
    fast(made, place, strings=True)

    # Torch archives that are no state_dict, and special cases of torch's own.
    place = folder("torch")
    plain = collections.OrderedDict(weight=torch.arange(6.0).reshape(2, 3), bias=torch.tensor([1.5, -2.0]).half())
    torch.save(plain, place / "protocol4.bin", pickle_protocol=4)
    torch.save({"epoch": 3, "weight": plain["weight"]}, place / "training-state.bin")
    odd = collections.OrderedDict(turned=plain["weight"].T, tail=plain["weight"][1:], long=torch.arange(3))
    odd.update(scalar=torch.tensor(7.0), empty=torch.zeros(0, 3))
    torch.save(odd, place / "views.bin")

    (HERE / "tokens.txt").write_text(expected_tokens(made))
    versions = {m.__name__: m.__version__ for m in (torch, transformers, tokenizers, safetensors)}
    write_json(HERE / "made.json", {"by": "Tools/golden/checkpoints.py", "vocabulary": size, "versions": versions})


if __name__ == "__main__":
    main()
