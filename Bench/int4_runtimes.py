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
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from inputs import Parser, at_least, checkpoint, file, new_folder, one_line, output, read_text, said
from llama_files import run
from phitools.durable import write_folder


def export_onnxruntime(source: str, out: str) -> None:
    target = free(out)
    checkpoint(source)
    if not find_spec("onnxruntime_genai"):
        raise ModuleNotFoundError(name="onnxruntime_genai")

    def fill(folder: Path) -> None:
        run(sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", source, "-o", folder, "-c",
            folder / "cache", "-p", "int4", "-e", "cpu", "--extra_options", "int4_block_size=32",
            "int4_accuracy_level=4")
    write_folder(target, fill)


def export_openvino(source: str, out: str, method: str = "", text: str = "") -> None:
    target, tokenizer_file = free(out), checkpoint(source) / "tokenizer.json"
    characters, part = read_text(file("a text")(text)) if text else "", 2000
    if text and not characters.strip():
        raise ValueError(f"{text}: is empty; give a text by which {method} corrects")
    if text and not tokenizer_file.is_file():
        raise FileNotFoundError(f"{tokenizer_file}: no such file; {method} needs the tokenizer for its text")
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
    from transformers import PreTrainedTokenizerFast

    def fill(folder: Path) -> None:
        options: dict[str, Any] = {}
        if text:
            tokenizer = str(folder / "tokenizer")  # whose class this transformers knows
            PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file)).save_pretrained(tokenizer)
            parts = [characters[k : k + part] for k in range(0, len(characters), part)][:32]
            options = {"dataset": parts, "tokenizer": tokenizer, method: True}
        config = OVWeightQuantizationConfig(bits=4, group_size=32, ratio=1.0, sym=True, **options)
        OVModelForCausalLM.from_pretrained(source, export=True, quantization_config=config).save_pretrained(folder)
    write_folder(target, fill)


def free(out: str) -> Path:
    """Return the folder for a model, which is not to hold anything yet."""
    target = new_folder(out).resolve()
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{out}: holds files already; choose another OUT, or remove it")
    return target


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
    folder, target, windows = Path(model), output(out), read_windows(ids, judged)
    kinds = {"model.onnx": onnxruntime_forward, "openvino_model.xml": openvino_forward}
    load = next((load for name, load in kinds.items() if (folder / name).is_file()), None)
    if not load:
        raise FileNotFoundError(f"{model}: has no {' or '.join(kinds)}; give the OUT of an export")
    try:
        forward = load(folder)
        found = np.stack([forward(window)[-1 - judged : -1] for window in windows]).astype(np.float32)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # the runtimes' own exceptions
        raise ValueError(f"{model}: cannot be run on {ids} ({said(error)[:300]}); export it again") from None
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with fresh.open("wb") as opened:
            np.save(opened, found)
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)


def read_windows(ids: str, judged: int) -> np.ndarray:
    """Return a file's windows of token ids; ValueError that names the file for anything else."""
    try:
        windows = np.load(file("IDS.npy of whole numbers, [windows][tokens]")(ids))
    except (ValueError, EOFError, BadZipFile):
        raise ValueError(f"{ids}: is no file of NumPy; give IDS.npy") from None
    if not isinstance(windows, np.ndarray) or windows.ndim != 2 or windows.dtype.kind not in "iu" or not len(windows):
        raise ValueError(f"{ids}: is to hold whole numbers, [windows][tokens]; give another file")
    if judged >= windows.shape[1]:
        raise ValueError(f"JUDGED {judged} is to be below {windows.shape[1]}, the tokens of a window of {ids}")
    return windows


def main(arguments: list[str]) -> None:
    parser = Parser(prog="int4_runtimes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    logits.add_argument("judged", metavar="JUDGED", type=at_least(1))
    logits.add_argument("logits", metavar="LOGITS.npy")
    logits.add_argument("model", metavar="OUT")
    with one_line("int4_runtimes"):
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
