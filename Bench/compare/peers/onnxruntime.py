"""onnxruntime-genai with int4 weights in groups of 32 and int8 activations, exported by its own model builder.

The builder wants another transformers than optimum-intel does, so it has an environment of its own.
"""
from __future__ import annotations

import shutil
import sys

from compare.peers.python_peer import PythonPeer
from compare.processes import REPOSITORY
from compare.workspace import Workspace, step


class OnnxRuntime(PythonPeer):
    peer = "onnxruntime-genai"
    label = "onnxruntime-genai int4"
    bits = 4
    module = "compare.onnxruntime_worker"
    package = "onnxruntime-genai"

    def prepare(self, workspace: Workspace) -> str:
        self.need_native(workspace)
        workspace.make_checkpoint()
        python, model = self.python(workspace), workspace.folder / "onnxruntime-int4"
        needs = REPOSITORY / "Bench" / "requirements-onnxruntime.txt"
        step([sys.executable, "-m", "venv", str(workspace.folder / "onnxruntime")])
        step([python, "-m", "pip", "install", "--quiet", "-r", str(needs)])
        if not model.exists():
            new = model.with_name("new-onnxruntime")
            shutil.rmtree(new, ignore_errors=True)
            step([
                python, "-m", "onnxruntime_genai.models.builder", "-i", str(workspace.checkpoint), "-o", str(new), "-c",
                str(new), "-p", "int4", "-e", "cpu", "--extra_options", "int4_block_size=32", "int4_accuracy_level=4"])
            new.rename(model)
        return super().prepare(workspace)

    def python(self, workspace: Workspace) -> str:
        return str(workspace.folder / "onnxruntime" / "bin" / "python")

    def arguments(self, workspace: Workspace) -> list[str]:
        return [str(workspace.folder / "onnxruntime-int4")]
