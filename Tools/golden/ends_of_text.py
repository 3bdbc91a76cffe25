#!/usr/bin/env python3
"""Write which tokens end a text for many layouts of a checkpoint's files, as Hugging Face finds them.

    python Tools/golden/ends_of_text.py        (needs torch, transformers)

For every layout the files are written, a model of one tiny block is loaded with AutoModelForCausalLM.from_pretrained,
and `ends` is the eos_token_id of the configuration that `generate` would use; null where it names none, so that
`generate` alone would never end. The result is Tests/PhiCheckpointTests/Fixtures/ends-of-text.json.
"""

import itertools
import json
import tempfile
from pathlib import Path

import transformers
from transformers import AutoModelForCausalLM, PhiConfig, PhiForCausalLM

OUT = Path(__file__).resolve().parents[2] / "Tests/PhiCheckpointTests/Fixtures/ends-of-text.json"
ABSENT = object()
GENERATION = [None, {}, {"eos_token_id": None}, {"eos_token_id": 7}, {"eos_token_id": [9, 3]}, {"eos_token_id": [5]}]
CONFIG = [ABSENT, None, 4, [6, 2]]


def layouts():
    """Yield the contents of generation_config.json, or None without one, and the eos_token_id of config.json."""
    yield from itertools.product(GENERATION, CONFIG)


def main():
    cases = []
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = PhiConfig(
            vocab_size=320, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
        PhiForCausalLM(config).save_pretrained(folder)
        keys = json.loads((folder / "config.json").read_text())
        for generation, end in layouts():
            path = folder / "generation_config.json"
            path.unlink(missing_ok=True)
            if generation is not None:
                path.write_text(json.dumps(generation))
            own = {key: value for key, value in keys.items() if key != "eos_token_id"}
            if end is not ABSENT:
                own["eos_token_id"] = end
            (folder / "config.json").write_text(json.dumps(own))
            model = AutoModelForCausalLM.from_pretrained(folder)
            ends = model._prepare_generation_config(None)[0].eos_token_id
            cases.append({
                "generation_config.json": None if generation is None else json.dumps(generation),
                "eos_token_id": None if end is ABSENT else json.dumps(end),
                "ends": [ends] if isinstance(ends, int) else ends,
            })
    lines = ",\n".join(json.dumps(case) for case in cases)
    OUT.write_text(f'{{"transformers": "{transformers.__version__}", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
