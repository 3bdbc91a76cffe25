"""OpenVINO GenAI with int4 weights in groups of 32, exported by optimum-intel."""
from __future__ import annotations

from compare.peers.python_peer import PythonPeer
from compare.processes import Failed
from compare.workplace import Workplace, step, tool


class OpenVINO(PythonPeer):
    peer = "openvino"
    label = "OpenVINO GenAI int4"
    bits = 4
    module = "compare.openvino_worker"
    package = "openvino-genai"

    def prepare(self, place: Workplace) -> str:
        version = super().prepare(place)
        place.make_checkpoint()
        model = place.folder / "openvino-int4"
        if not (model / "openvino_model.bin").exists():
            step([
                tool("optimum-cli"), "export", "openvino", "--model", str(place.checkpoint), "--task",
                "text-generation-with-past",
                "--weight-format", "int4", "--group-size", "32", "--ratio", "1.0", "--sym", str(model)])
        if place.isa != "native":
            raise Failed("cannot be held to AVX2")
        return version

    def arguments(self, place: Workplace) -> list[str]:
        return [str(place.folder / "openvino-int4")]
