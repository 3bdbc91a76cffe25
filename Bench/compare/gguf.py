"""Run llama.cpp's converter as if the tokenizer were phi's: python -m compare.gguf LLAMA_CPP CHECKPOINT OUT

The converter recognises tokenizers by a hash of their output and refuses a seeded checkpoint's generated one. The
tokenizer does not affect speed.
"""
from __future__ import annotations

import runpy
import sys
from pathlib import Path


def main() -> None:
    source, checkpoint, out = map(Path, sys.argv[1:4])
    sys.path[:0] = [str(source), str(source / "gguf-py")]
    import conversion.base

    conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "phi-2"
    sys.argv = ["convert_hf_to_gguf.py", str(checkpoint), "--outfile", str(out), "--outtype", "bf16"]
    runpy.run_path(str(source / "convert_hf_to_gguf.py"), run_name="__main__")


if __name__ == "__main__":
    main()
