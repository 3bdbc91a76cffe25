"""Files of onnxruntime-genai and OpenVINO for `quantisation.py`, and their logits.

    python Bench/int4_runtimes.py export-onnxruntime CHECKPOINT OUT
    python Bench/int4_runtimes.py export-openvino CHECKPOINT OUT [METHOD TEXT]
    python Bench/int4_runtimes.py logits IDS.npy JUDGED LOGITS.npy OUT

Runs in an environment with `requirements-onnxruntime.txt` for the first, `requirements.txt` for the second, either for
the third. Weights have 4 bits in groups of 32; both runtimes' own defaults hold for the head and the embedding. With a
text OpenVINO's are corrected by it; METHOD is scale_estimation or gptq (its AWQ finds nothing to do in phi).
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def export_onnxruntime(checkpoint: str, out: str) -> None:
    subprocess.run([
        sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", checkpoint, "-o", out, "-c", f"{out}/cache",
        "-p", "int4", "-e", "cpu", "--extra_options", "int4_block_size=32", "int4_accuracy_level=4"], check=True)


def export_openvino(checkpoint: str, out: str, method: str = "", text: str = "") -> None:
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
    from transformers import PreTrainedTokenizerFast

    options: dict[str, Any] = {}
    if text:
        tokenizer = f"{out}/tokenizer"  # whose class this transformers knows
        PreTrainedTokenizerFast(tokenizer_file=f"{checkpoint}/tokenizer.json").save_pretrained(tokenizer)
        characters, part = Path(text).read_text(encoding="utf-8"), 2000
        parts = [characters[k : k + part] for k in range(0, len(characters), part)][:32]
        options = {"dataset": parts, "tokenizer": tokenizer, method: True}
    config = OVWeightQuantizationConfig(bits=4, group_size=32, ratio=1.0, sym=True, **options)
    OVModelForCausalLM.from_pretrained(checkpoint, export=True, quantization_config=config).save_pretrained(out)


Forward = Callable[[np.ndarray], np.ndarray]


def onnxruntime_forward(model: Path) -> Forward:
    import onnxruntime

    decoder = json.loads((model / "genai_config.json").read_text(encoding="utf-8"))["model"]["decoder"]
    empty = (1, decoder["num_key_value_heads"], 0, decoder["head_size"])
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), providers=["CPUExecutionProvider"])

    def forward(ids: np.ndarray) -> np.ndarray:
        feed: dict[str, np.ndarray] = {}
        for given in session.get_inputs():
            if "past" in given.name:
                kind = np.float16 if "float16" in given.type else np.float32
                feed[given.name] = np.zeros(empty, kind)
            else:
                feed[given.name] = inputs(ids)[given.name]
        return session.run(["logits"], feed)[0][0]
    return forward


def openvino_forward(model: Path) -> Forward:
    import openvino

    compiled = openvino.Core().compile_model(model / "openvino_model.xml", "CPU")
    names = {name for given in compiled.inputs for name in given.names}
    request = compiled.create_infer_request()

    def forward(ids: np.ndarray) -> np.ndarray:
        request.reset_state()
        return request.infer({name: value for name, value in inputs(ids).items() if name in names})["logits"][0]
    return forward


def inputs(ids: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "input_ids": ids[None], "attention_mask": np.ones_like(ids)[None], "position_ids": np.arange(len(ids))[None],
        "beam_idx": np.zeros(1, np.int32)}


def write_logits(ids: str, judged: int, out: str, model: str) -> None:
    """Write the logits of the `judged` positions before the last of each window, [windows][judged][vocabulary]."""
    folder = Path(model)
    forward = (onnxruntime_forward if (folder / "model.onnx").exists() else openvino_forward)(folder)
    np.save(out, np.stack([forward(window)[-1 - judged : -1] for window in np.load(ids)]).astype(np.float32))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    onnxruntime = commands.add_parser("export-onnxruntime", help="write onnxruntime-genai's files")
    openvino = commands.add_parser("export-openvino", help="write OpenVINO's files")
    for command in (onnxruntime, openvino):
        command.add_argument("checkpoint", metavar="CHECKPOINT")
        command.add_argument("out", metavar="OUT")
    methods = ("scale_estimation", "gptq")
    openvino.add_argument("method", metavar="METHOD", nargs="?", choices=methods, help=" or ".join(methods))
    openvino.add_argument("text", metavar="TEXT", nargs="?", help="the file by which METHOD corrects")
    logits = commands.add_parser("logits", help="write the logits of a model's files")
    logits.add_argument("ids", metavar="IDS.npy")
    logits.add_argument("judged", metavar="JUDGED", type=int)
    logits.add_argument("logits", metavar="LOGITS.npy")
    logits.add_argument("model", metavar="OUT")
    given = parser.parse_args(arguments)
    if given.command == "export-onnxruntime":
        export_onnxruntime(given.checkpoint, given.out)
    elif given.command == "export-openvino":
        if given.method and not given.text:
            openvino.error("METHOD requires TEXT")
        export_openvino(given.checkpoint, given.out, given.method or "", given.text or "")
    else:
        write_logits(given.ids, given.judged, given.logits, given.model)


if __name__ == "__main__":
    main(sys.argv[1:])
