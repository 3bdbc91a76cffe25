"""Tests of starting from other people's checkpoints: every container and type, equal logits, refusals by name."""
from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from needs import packages

packages("torch", "tokenizers", "safetensors", "transformers")

import torch
from safetensors.torch import load_file, save_file
from transformers import PhiConfig, PhiForCausalLM

from phitools.train import base
from phitools.train.model import Phi

SIZES = {
    "vocab_size": 300, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 3,
    "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2}


def made(folder: Path, **options: object) -> PhiForCausalLM:
    """Write a phi with weights large enough to tell mistakes, and return it."""
    torch.manual_seed(5)
    model = PhiForCausalLM(PhiConfig(**SIZES, **options)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.normal_(0, 0.3)
    model.save_pretrained(folder)
    return model


class Base(unittest.TestCase):
    def setUp(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = Path(self.scratch.name) / "phi"

    def same_logits(self, theirs: PhiForCausalLM) -> None:
        shape = base.read_shape(self.folder)
        ours = Phi(shape).eval()
        ours.load_state_dict(base.load_weights(self.folder, shape))
        ids = torch.arange(60)[None] * 5
        torch.testing.assert_close(ours(ids), theirs(input_ids=ids).logits.float(), rtol=1e-3, atol=1e-3)

    def settings(self, **keys: object) -> None:
        path = self.folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | keys))

    def test_options_change_the_computation_as_in_transformers(self) -> None:
        for options in (
                {}, {"layer_norm_eps": 0.3}, {"rope_parameters": {
                    "rope_type": "default", "rope_theta": 50.0, "partial_rotary_factor": 0.25}}):
            self.same_logits(made(self.folder, **options))
        model = made(self.folder)
        # as older versions wrote them
        self.settings(rope_parameters=None, rope_theta=10000.0, partial_rotary_factor=0.5)
        self.same_logits(model)

    def test_containers_and_types(self) -> None:
        for kind in (torch.float32, torch.float16, torch.bfloat16):
            model = made(self.folder).to(kind)
            model.save_pretrained(self.folder, max_shard_size="30KB")
            (self.folder / "model.safetensors").unlink(missing_ok=True)
            self.assertGreater(len(base.weight_files(self.folder)), 2)
            self.same_logits(model.float())
            state = {n: t.to(kind) for n, t in model.state_dict().items()}
            for path in self.folder.glob("model*"):
                path.unlink()
            names = sorted(state)
            torch.save({n: state[n] for n in names[:9]}, self.folder / "pytorch_model-1.bin")
            torch.save({n: state[n] for n in names[9:]}, self.folder / "pytorch_model-2.bin")
            (self.folder / "pytorch_model.bin.index.json").write_text(json.dumps(
                {"weight_map": {n: f"pytorch_model-{1 + (i >= 9)}.bin" for i, n in enumerate(names)}}))
            self.same_logits(model)
            for path in self.folder.glob("pytorch_model*"):
                path.unlink()
            torch.save(state, self.folder / "pytorch_model.bin")
            self.same_logits(model)
            (self.folder / "pytorch_model.bin").unlink()

    def test_options_that_are_not_supported_are_refused_by_name(self) -> None:
        made(self.folder)
        for key, value in (
                ("qk_layernorm", True), ("hidden_act", "gelu"), ("num_key_value_heads", 1),
                ("tie_word_embeddings", True),
                ("rope_scaling", {"type": "linear", "factor": 2.0}), ("quantization_config", {"bits": 4})):
            before = (self.folder / "config.json").read_text()
            self.settings(**{key: value})
            with self.assertRaisesRegex(ValueError, f"config.json: {key} = .* is not supported"):
                base.read_shape(self.folder)
            (self.folder / "config.json").write_text(before)
        for keys, why in (
                ({"model_type": "llama"}, "model_type is 'llama'"), ({"hidden_size": "48"}, "no phi's shape"),
                ({"num_attention_heads": 5, "num_key_value_heads": 5}, "no phi's shape"),
                ({"num_hidden_layers": 1 << 40}, "no phi's shape"),
                ({"rope_scaling": "linear"}, 'rope_scaling = "linear" is not supported'),
                ({"rope_parameters": [1]}, r"rope_parameters = \[1\] is not supported"),
                ({"rope_parameters": None, "partial_rotary_factor": 1.5}, "partial_rotary_factor = 1.5 is not between"),
                ({"rope_parameters": {"partial_rotary_factor": -1}}, "partial_rotary_factor = -1.0 is not between"),
                ({"rope_parameters": {"rope_theta": 0}}, "rope_theta = 0.0 is not positive"),
                ({"vocab_size": 70_000}, "vocab_size = 70000: more than 65,536 tokens are not supported")):
            before = (self.folder / "config.json").read_text()
            self.settings(**keys)
            with self.assertRaisesRegex(ValueError, why):
                base.read_shape(self.folder)
            (self.folder / "config.json").write_text(before)

    def test_damaged_weights_are_refused(self) -> None:
        made(self.folder)
        shape, path = base.read_shape(self.folder), self.folder / "model.safetensors"
        state = load_file(path)
        save_file(state | {"model.layers.0.self_attn.q_layernorm.weight": torch.ones(16)}, path)
        with self.assertRaisesRegex(ValueError, "q_layernorm.weight is of no phi"):
            base.load_weights(self.folder, shape)
        save_file({n: t for n, t in state.items() if n != "lm_head.bias"}, path)
        with self.assertRaisesRegex(ValueError, "lm_head.bias is missing"):
            base.load_weights(self.folder, shape)
        path.write_bytes(path.read_bytes()[:100])
        with self.assertRaisesRegex(ValueError, "model.safetensors: cannot be read"):
            base.load_weights(self.folder, shape)
        path.unlink()
        index = self.folder / "model.safetensors.index.json"
        for text, why in (
                ("[]", "not an index"), ('{"weight_map": {"a": "../b.safetensors"}}', "outside its folder"),
                ('{"weight_map": {"a": "b.safetensors"}}', "b.safetensors: cannot be read")):
            index.write_text(text)
            with self.assertRaisesRegex(ValueError, why):
                base.load_weights(self.folder, shape)
        index.unlink()
        with self.assertRaisesRegex(ValueError, "has neither model.safetensors nor"):
            base.load_weights(self.folder, shape)


if __name__ == "__main__":
    unittest.main()
