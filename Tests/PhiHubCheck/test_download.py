"""Downloads that succeed: what is downloaded, where it lies, and how a download goes on after a fault.

    python -m unittest discover -s Tests/PhiHubCheck       after swift build -c release --product phi
"""
from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import threading
import time
import unittest

from hub import COMMIT, OTHER_COMMIT, Fault, etag
from phi_process import ADAPTER, FIXTURES, ID, MODEL, OTHERS, PHI, SHARDED, WEIGHTS, HubTest, tool

HALF = len(MODEL[WEIGHTS]) // 2


class PlainDownload(HubTest):
    def test_downloads_what_is_read_and_nothing_else(self) -> None:
        hub = self.hub(MODEL | OTHERS)
        self.assert_converts(hub)
        self.assertEqual({path.name for path in self.snapshot.iterdir()}, set(MODEL))
        self.assertEqual(hub.paths("store"), [f"/{ID}/{WEIGHTS}?signature=x%2Fy"])
        for name, content in MODEL.items():
            link = self.snapshot / name
            self.assertEqual(os.readlink(link), f"../../blobs/{etag(name, content)}")
            self.assertEqual(link.read_bytes(), content)
        self.assertEqual((self.entry / "refs/main").read_text(), COMMIT)
        self.assertEqual(self.incomplete(), [])

    def test_asks_once_more_and_downloads_nothing_twice(self) -> None:
        hub = self.hub()
        self.assert_converts(hub)
        hub.requests.clear()
        self.assert_converts(hub)
        self.assertEqual(hub.paths("hub"), [f"/api/models/{ID}/revision/main?blobs=true"])
        self.assertEqual(hub.paths("store"), [])

    def test_downloads_shards_and_small_files(self) -> None:
        hub = self.hub(SHARDED | OTHERS | {"generation_config.json": b"{}", "special_tokens_map.json": b"{}"})
        result = self.run_phi(hub)
        self.assertEqual(result.returncode, 0, result.stderr)
        wanted = set(SHARDED) | {"generation_config.json", "special_tokens_map.json"}
        self.assertEqual({path.name for path in self.snapshot.iterdir()}, wanted)

    def test_takes_a_torch_archive_where_there_is_nothing_else(self) -> None:
        name = "transformer-bin-f16"
        hub = self.hub({path.name: path.read_bytes() for path in (FIXTURES / name).iterdir()})
        self.assert_converts(hub, fixture=name)

    def test_a_revision_is_a_branch_with_slashes_or_a_commit(self) -> None:
        hub = self.hub()
        self.assert_converts(hub, "--revision", "v1/test")
        self.assertIn("/revision/v1%2Ftest?", hub.paths("hub")[0])
        self.assertEqual((self.entry / "refs/v1/test").read_text(), OTHER_COMMIT)
        hub.requests.clear()
        self.assert_converts(hub, "--revision", OTHER_COMMIT)
        self.assertEqual(hub.requests, [], "a commit does not change")
        self.assert_converts(hub, "--revision", COMMIT)
        self.assertEqual(hub.paths("store"), [], "blobs are shared by commits")
        self.assertEqual(sorted(path.name for path in (self.entry / "refs").iterdir()), ["v1"])

    def test_a_branch_that_moves_brings_what_changed(self) -> None:
        hub = self.hub()
        self.assert_converts(hub)
        hub.revisions["main"] = OTHER_COMMIT
        hub.repositories[ID]["config.json"] += b"\n"
        hub.requests.clear()
        self.assertEqual(self.run_phi(hub).returncode, 0)
        self.assertEqual(hub.paths("hub")[1:], [f"/{ID}/resolve/{OTHER_COMMIT}/config.json"])
        self.assertEqual(hub.paths("store"), [])
        self.assertEqual((self.entry / "refs/main").read_text(), OTHER_COMMIT)
        self.assertEqual((self.snapshot / "config.json").read_bytes(), MODEL["config.json"])

    def test_an_adapter_of_another_model_is_named(self) -> None:
        hub = self.hub()
        for base, warns in ((ID, False), (ID.upper(), False), ("some.one/other", True), ("./here", False)):
            config = json.loads(ADAPTER["adapter_config.json"]) | {"base_model_name_or_path": base}
            hub.repositories["some.one/adapter"] = ADAPTER | {"adapter_config.json": json.dumps(config).encode()}
            shutil.rmtree(self.home / "hub/models--some.one--adapter", ignore_errors=True)
            result = self.run_phi(hub, "--adapter", "some.one/adapter")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(f"is an adapter of some.one/other, not of {ID}" in result.stderr, warns, result.stderr)

    def test_an_adapter_is_an_id_with_a_factor(self) -> None:
        hub = self.hub()
        hub.repositories["some.one/adapter"] = ADAPTER | {"README.md": b"", "adapter_model.bin": b""}
        output = self.folder / "out.phi"
        for factor in ("", "=0.5"):
            result = self.run_phi(hub, "--adapter", "some.one/adapter" + factor)
            self.assertEqual(result.returncode, 0, result.stderr)
            converted = output.read_bytes()
            local = self.run_phi(hub, "--adapter", str(FIXTURES / "adapters/attention") + factor)
            self.assertEqual(local.returncode, 0, local.stderr)
            self.assertEqual(converted, output.read_bytes())
        names = {path.name for path in (self.home / "hub/models--some.one--adapter/snapshots" / COMMIT).iterdir()}
        self.assertEqual(names, {"adapter_config.json", "adapter_model.safetensors"})

    def test_a_path_that_exists_wins(self) -> None:
        hub = self.hub()
        (self.folder / "owner").mkdir()
        (self.folder / ID).symlink_to(FIXTURES / "current-safetensors-f32")
        self.assert_converts(hub)
        self.assertEqual(hub.requests, [])
        result = self.run_phi(hub, "--revision", "main")
        self.assertEqual((result.returncode, result.stdout), (64, ""))
        (self.folder / ID).unlink()
        (self.folder / ID).symlink_to("nothing")
        (self.folder / "out.phi").unlink()
        self.assert_refuses(hub, "link to nothing")

    def test_the_command_does_not_link_libcurl(self) -> None:
        linked = subprocess.run([tool("ldd"), PHI], capture_output=True, text=True, check=True)
        self.assertNotIn("curl", linked.stdout)

    def test_the_cache_is_where_the_environment_says(self) -> None:
        hub = self.hub()
        for variables, place in [
            ({"HF_HUB_CACHE": "$HOME/a b"}, "a b"),
            ({"HF_HOME": "~/b"}, "b/hub"),
            ({"HF_HOME": "", "XDG_CACHE_HOME": "${HOME}/c"}, "c/huggingface/hub"),
            ({"HF_HOME": ""}, ".cache/huggingface/hub"),
        ]:
            with self.subTest(place=place):
                self.assert_converts(hub, **variables)
                self.assertTrue((self.folder / place / "models--owner--model/refs/main").exists())

    def test_shows_bytes_rate_and_time_left_on_a_terminal(self) -> None:
        hub = self.hub()
        wait = threading.Event()
        hub.faults[WEIGHTS] = [Fault(cut=HALF, wait=wait)]
        threading.Timer(2.5, wait.set).start()
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            self.command(), env=self.environment(hub), stdout=subprocess.DEVNULL, stderr=follower)
        os.close(follower)
        shown = b""
        while process.poll() is None or select.select([leader], [], [], 0)[0]:
            try:
                shown += os.read(leader, 4096) if select.select([leader], [], [], 0.1)[0] else b""
            except OSError:
                break
        os.close(leader)
        self.assertEqual(process.wait(30), 0)
        self.assertRegex(
            shown.decode(), r"download \[=+ +\] [\d.]+ kB of 64\.48 kB, [\d.]+ k?B?(ytes)?/s, \d+ s left")


class Authorisation(HubTest):
    def tokens(self, hub, server: str) -> set[str | None]:
        return {headers.get("Authorization") for name, _, headers in hub.requests if name == server}

    def test_the_token_goes_to_the_hub_alone(self) -> None:
        hub = self.hub()
        hub.token = "hf_secret"
        self.assert_converts(hub, HF_TOKEN=" hf_secret\n")
        self.assertEqual(self.tokens(hub, "hub"), {"Bearer hf_secret"})
        self.assertEqual(self.tokens(hub, "store"), {None})

    def test_the_token_goes_with_a_relative_redirect_and_not_to_another_port(self) -> None:
        hub = self.hub()
        hub.token = "hf_secret"
        port = hub.servers["store"].server_port
        hub.redirect = lambda address: f"http://127.0.0.1:{port}/{ID}/{WEIGHTS}"
        self.assert_converts(hub, HF_TOKEN="hf_secret")
        self.assertEqual(self.tokens(hub, "store"), {None})
        redirects = iter([f"/{ID}/resolve/{COMMIT}/{WEIGHTS}?again", None])
        hub.redirect = lambda address: next(redirects)
        for path in (self.snapshot / WEIGHTS, *self.entry.glob("blobs/*")):
            path.unlink()
        self.assert_converts(hub, HF_TOKEN="hf_secret")
        self.assertIn(f"/{ID}/resolve/{COMMIT}/{WEIGHTS}?again", hub.paths("hub"))
        self.assertEqual(self.tokens(hub, "hub"), {"Bearer hf_secret"})

    def test_the_token_is_found_where_the_library_finds_it(self) -> None:
        self.home.mkdir()
        (self.home / "token").write_text("hf_file\n")
        (self.folder / "t").write_text("hf_other")
        for variables, sent in [
            ({}, "hf_file"), ({"HF_TOKEN": "hf_a"}, "hf_a"), ({"HUGGING_FACE_HUB_TOKEN": "hf_b"}, "hf_b"),
            ({"HF_TOKEN": " "}, "hf_file"), ({"HF_TOKEN_PATH": "~/t"}, "hf_other"),
            ({"HF_TOKEN": "hf_a", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "yes"}, None),
            ({"HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}, "hf_file"),
        ]:
            with self.subTest(variables=variables):
                hub = self.hub()
                self.assert_converts(hub, **variables)
                self.assertEqual(self.tokens(hub, "hub"), {f"Bearer {sent}" if sent else None})


class Resumption(HubTest):
    def test_goes_on_where_the_connection_broke(self) -> None:
        size = len(MODEL[WEIGHTS])
        for cuts in ([1], [HALF], [size - 1], [100, 1000, 5000]):
            with self.subTest(cuts=cuts):
                hub = self.hub()
                hub.faults[WEIGHTS] = [Fault(cut=cut) for cut in cuts]
                said = self.assert_converts(hub, HF_HOME=str(self.folder / f"{cuts[0]}"))
                starts = [sum(cuts[:count]) for count in range(1, len(cuts) + 1)]
                self.assertEqual(hub.ranges(WEIGHTS), [None, *[f"bytes={start}-" for start in starts]])
                self.assertEqual(said.count("the connection broke"), len(cuts))

    def test_goes_on_with_a_small_file_a_list_and_a_redirect(self) -> None:
        hub = self.hub()
        hub.faults["config.json"] = [Fault(cut=0), Fault(cut=10)]
        hub.faults["listing"] = [Fault(cut=5)]
        breaks = iter([True, True])  # libcurl repeats a request on a connection that the server closed meanwhile

        def redirect(address: str) -> str:
            if next(breaks, False):
                raise ConnectionError
            return address

        hub.redirect = redirect
        self.assertEqual(self.assert_converts(hub).count("the connection broke"), 4)
        self.assertEqual(hub.ranges("config.json"), [None, None, "bytes=10-"])

    def test_goes_on_in_another_run_after_an_interrupt(self) -> None:
        hub = self.hub()
        reached, wait = threading.Event(), threading.Event()
        self.addCleanup(wait.set)
        hub.faults[WEIGHTS] = [Fault(cut=HALF, reached=reached, wait=wait)]
        process = self.start_phi(hub)
        self.assertTrue(reached.wait(20))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        process.communicate(timeout=20)
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.incomplete(), [MODEL[WEIGHTS][:HALF]])
        self.assertFalse((self.entry / "refs/main").exists())
        hub.requests.clear()
        self.assert_converts(hub)
        self.assertEqual(hub.ranges(WEIGHTS), [f"bytes={HALF}-"])
        self.assertEqual(self.incomplete(), [])

    def test_an_interrupt_ends_a_wait(self) -> None:
        hub = self.hub()
        hub.faults["config.json"] = [Fault(status=429, headers={"Retry-After": "60"})]
        process = self.start_phi(hub)
        for line in process.stderr:
            if "trying again in 60 s" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=5)
        self.assertEqual(process.returncode, 143)

    def test_starts_again_where_a_server_ignores_the_range(self) -> None:
        hub = self.hub()
        hub.faults[WEIGHTS] = [Fault(cut=HALF), Fault(ignores_range=True)]
        self.assert_converts(hub)

    def test_starts_again_with_a_part_that_is_too_long_and_keeps_one_that_is_whole(self) -> None:
        blob = self.entry / "blobs" / (etag(WEIGHTS, MODEL[WEIGHTS]) + ".incomplete")
        blob.parent.mkdir(parents=True)
        for content, ranges in [(MODEL[WEIGHTS] + b"x", [None]), (MODEL[WEIGHTS], [])]:
            with self.subTest(ranges=ranges):
                hub = self.hub()
                blob.write_bytes(content)
                self.assert_converts(hub, HF_HOME=str(self.home))
                self.assertEqual(hub.ranges(WEIGHTS), ranges)
                for path in (self.snapshot / WEIGHTS, blob.with_suffix("")):
                    path.unlink()

    def test_waits_as_long_as_it_is_told(self) -> None:
        hub = self.hub()
        hub.faults["listing"] = [Fault(status=429, headers={"Retry-After": "2"})]
        hub.faults["config.json"] = [Fault(status=500)]
        hub.faults[WEIGHTS] = [Fault(status=503, headers={"Retry-After": "1"}), Fault(cut=10), Fault(status=502)]
        started = time.monotonic()
        said = self.assert_converts(hub)
        self.assertGreater(time.monotonic() - started, 2 + 1 + 1 + 1 + 2)
        self.assertEqual(
            re.findall(r"trying again in (\d+) s", said), ["2", "1", "1", "1", "2"])

    def test_a_server_that_sends_no_length(self) -> None:
        hub = self.hub()
        hub.faults[WEIGHTS] = hub.faults["config.json"] = [Fault(chunked=True)]
        self.assert_converts(hub)

    def test_a_stalled_connection_is_left(self) -> None:
        hub = self.hub()
        wait = threading.Event()
        self.addCleanup(wait.set)
        hub.faults[WEIGHTS] = [Fault(cut=HALF, wait=wait)]
        self.assert_converts(hub, HF_HUB_DOWNLOAD_TIMEOUT="1")
        self.assertEqual(hub.ranges(WEIGHTS)[-1], f"bytes={HALF}-")

    def test_replaces_a_blob_of_another_size(self) -> None:
        hub = self.hub()
        self.assert_converts(hub)
        blob = self.entry / "blobs" / etag(WEIGHTS, MODEL[WEIGHTS])
        blob.write_bytes(b"short")
        self.assert_converts(hub)
        self.assertEqual(blob.read_bytes(), MODEL[WEIGHTS])


if __name__ == "__main__":
    unittest.main()
