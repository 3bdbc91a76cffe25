"""OpenVINO GenAI with int4 weights in groups of 32, exported by optimum-intel."""
from __future__ import annotations

from compare.peers.python_peer import PythonPeer
from compare.workspace import Workspace, step, tool


class OpenVINO(PythonPeer):
    peer = "openvino"
    label = "OpenVINO GenAI int4"
    bits = 4
    module = "compare.openvino_worker"
    package = "openvino-genai"

    def prepare(self, workspace: Workspace) -> str:
        self.need_native(workspace)
        version = super().prepare(workspace)
        workspace.make_checkpoint()
        model = workspace.folder / "openvino-int4"
        if not (model / "openvino_model.bin").exists():
            step([
                tool("optimum-cli"), "export", "openvino", "--model", str(workspace.checkpoint), "--task",
                "text-generation-with-past",
                "--weight-format", "int4", "--group-size", "32", "--ratio", "1.0", "--sym", str(model)])
        return version

    def arguments(self, workspace: Workspace) -> list[str]:
        return [str(workspace.folder / "openvino-int4")]
