#!/usr/bin/env python3
"""Write tiny CodeGen and GPT-J checkpoints and their logits, for Tests/PhiConvertTests.

    python Tools/golden/cousins.py        (needs torch, transformers)

Both have phi's block: attention and MLP in parallel behind one layer norm. Weights are random with a fixed seed; the
tokenizer is that of the phi fixtures. logits.json has a prompt and the logits after each of its last four tokens, of
transformers in f32.
"""

import json
import shutil
from pathlib import Path

import torch
import transformers
from transformers import CodeGenConfig, CodeGenForCausalLM, GPTJConfig, GPTJForCausalLM

FIXTURES = Path(__file__).resolve().parents[2] / "Tests/PhiCheckpointTests/Fixtures"
SHAPE = {"vocab_size": 296, "n_positions": 64, "n_embd": 64, "n_layer": 2, "n_head": 8, "n_inner": 80, "rotary_dim": 4}
PROMPT = [70, 71, 256, 3, 9, 280, 14, 70, 105, 11, 200, 33]


def write(name, model):
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.25)
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    model.eval().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    shutil.copy(FIXTURES / "current-safetensors-f32/tokenizer.json", folder)
    with torch.no_grad():
        logits = model(torch.tensor([PROMPT])).logits[0, -4:].tolist()
    rows = ",\n".join(json.dumps([float(f"{value:.8g}") for value in row]) for row in logits)
    (folder / "logits.json").write_text(
        f'{{"transformers": "{transformers.__version__}", "prompt": {json.dumps(PROMPT)}, "logits": [\n{rows}\n]}}\n')


def main():
    write("codegen", CodeGenForCausalLM(CodeGenConfig(**SHAPE, n_ctx=64, bos_token_id=1, eos_token_id=50256)))
    write("gptj", GPTJForCausalLM(GPTJConfig(**SHAPE, bos_token_id=1, eos_token_id=50256)))


if __name__ == "__main__":
    main()
