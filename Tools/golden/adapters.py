#!/usr/bin/env python3
"""Write the LoRA adapters of Tests/PhiCheckpointTests and what they make of their base models.

    python Tools/golden/adapters.py        (needs torch, transformers, peft, safetensors)

Each folder of Fixtures/adapters holds an adapter as peft saves it, with random weights of a fixed seed, and
merged.safetensors: the parameters that merge_and_unload changes in the base model, in transformers' names. The adapter
of old module names, whose model code transformers no longer has, has queries, keys and values in one module.
"""

import json
import shutil
import tempfile
from pathlib import Path

import peft
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM

FIXTURES = Path(__file__).resolve().parents[2] / "Tests/PhiCheckpointTests/Fixtures"
BASE = FIXTURES / "current-safetensors-f32"
OUT = FIXTURES / "adapters"
LINEAR = ["q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"]
CASES = {
    "attention": {"target_modules": ["q_proj", "k_proj", "v_proj", "dense"], "r": 4, "lora_alpha": 8},
    "rank-stabilised": {"target_modules": LINEAR, "r": 3, "lora_alpha": 5, "use_rslora": True},
    "patterns": {
        "target_modules": LINEAR, "r": 2, "lora_alpha": 4, "rank_pattern": {"fc1": 5, "layers.1.self_attn.q_proj": 3},
        "alpha_pattern": {r"layers\.0\.mlp.*": 9, "dense": 1}},
    "embedding-and-head": {"target_modules": ["embed_tokens", "lm_head", "fc2"], "r": 4, "lora_alpha": 4},
    "saved-modules": {
        "target_modules": ["q_proj"], "modules_to_save": ["lm_head", "embed_tokens", "final_layernorm"], "r": 2,
        "lora_alpha": 2},
    "all-biases": {"target_modules": ["v_proj", "fc1"], "bias": "all", "r": 2, "lora_alpha": 6},
    "own-biases": {"target_modules": ["v_proj", "fc1"], "bias": "lora_only", "r": 2, "lora_alpha": 6},
}


def randomise(model):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape) * 0.3)


def base():
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)


def changed(model):
    before = base().state_dict()
    after = model.state_dict()
    return {name: after[name].contiguous() for name in after if not torch.equal(after[name], before[name])}


def save(name, settings):
    model = peft.get_peft_model(base(), peft.LoraConfig(**settings))
    randomise(model)
    folder = OUT / name
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    # peft writes a set, in another order each time, and where the base model lay.
    keys = json.loads((folder / "adapter_config.json").read_text())
    keys["target_modules"].sort()
    keys["base_model_name_or_path"] = None
    (folder / "adapter_config.json").write_text(json.dumps(keys, indent=1, sort_keys=True) + "\n")
    # Read again: what was not saved is not merged.
    merged = peft.PeftModel.from_pretrained(base(), folder).merge_and_unload()
    safetensors.torch.save_file(changed(merged), folder / "merged.safetensors")


def save_halves():
    """The first case's adapter in bfloat16, as a torch archive and under the keys of early versions of peft."""
    source, folder = OUT / "attention", OUT / "bfloat16-archive"
    folder.mkdir()
    tensors = safetensors.torch.load_file(source / "adapter_model.safetensors")
    halves = {name.replace(".weight", ".default.weight"): value.bfloat16() for name, value in tensors.items()}
    torch.save(halves, folder / "adapter_model.bin")
    shutil.copy(source / "adapter_config.json", folder)
    with tempfile.TemporaryDirectory() as name:
        plain = {key.replace(".default.weight", ".weight"): value.float() for key, value in halves.items()}
        safetensors.torch.save_file(plain, Path(name) / "adapter_model.safetensors")
        shutil.copy(source / "adapter_config.json", name)
        merged = peft.PeftModel.from_pretrained(base(), name).merge_and_unload()
    safetensors.torch.save_file(changed(merged), folder / "merged.safetensors")


def save_old_names():
    """An update of Wqkv, [3, heads, head size], named as in the code published with phi-2."""
    folder = OUT / "old-names"
    folder.mkdir()
    before, merged, adapter = base().state_dict(), {}, {}
    rank, alpha = 3, 4.0
    with torch.no_grad():
        for block in range(2):
            hidden = before[f"model.layers.{block}.self_attn.q_proj.weight"].shape[1]
            a, b = torch.randn(rank, hidden) * 0.3, torch.randn(3 * hidden, rank) * 0.3
            adapter[f"base_model.model.transformer.h.{block}.mixer.Wqkv.lora_A.weight"] = a
            adapter[f"base_model.model.transformer.h.{block}.mixer.Wqkv.lora_B.weight"] = b
            for third, name in enumerate(["q_proj", "k_proj", "v_proj"]):
                key = f"model.layers.{block}.self_attn.{name}.weight"
                merged[key] = before[key] + (b @ a * (alpha / rank))[third * hidden : (third + 1) * hidden]
    safetensors.torch.save_file(adapter, folder / "adapter_model.safetensors")
    safetensors.torch.save_file(merged, folder / "merged.safetensors")
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": ["Wqkv"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def save_weighted():
    """What half of one adapter and minus two of another make together."""
    model = peft.PeftModel.from_pretrained(base(), OUT / "attention", adapter_name="a")
    model.load_adapter(OUT / "rank-stabilised", adapter_name="b")
    model.add_weighted_adapter(["a", "b"], [0.5, -2.0], "both", combination_type="cat")
    model.set_adapter("both")
    safetensors.torch.save_file(changed(model.merge_and_unload()), OUT / "weighted.safetensors")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    torch.manual_seed(1)
    for name, settings in CASES.items():
        save(name, settings)
    save_halves()
    save_old_names()
    save_weighted()
    save("lora-bias", {"target_modules": LINEAR, "r": 2, "lora_alpha": 3, "lora_bias": True})
    (OUT / "made.json").write_text(json.dumps({"peft": peft.__version__, "torch": torch.__version__}) + "\n")


if __name__ == "__main__":
    main()
