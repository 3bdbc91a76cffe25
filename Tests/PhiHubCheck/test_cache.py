"""The cache: without the hub, with several processes at once, and shared with Hugging Face's own library."""
from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import unittest

from hub import COMMIT, Fault
from phi_process import ID, MODEL, WEIGHTS, HubTest

HALF = len(MODEL[WEIGHTS]) // 2


class TwoAtOnce(HubTest):
    def test_one_downloads_and_the_other_waits(self) -> None:
        hub = self.hub()
        reached, wait = threading.Event(), threading.Event()
        hub.faults[WEIGHTS] = [Fault(cut=HALF, reached=reached, wait=wait)]
        first = self.start_phi(hub)
        self.assertTrue(reached.wait(20))
        command = [argument.replace("out.phi", "out2.phi") for argument in self.command()]
        second = self.start_phi(hub, command)
        for line in second.stderr:
            if "waiting for another process" in line:
                break
        else:
            self.fail("the second does not wait")
        wait.set()
        for process in (first, second):
            process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0)
        self.assertEqual(hub.ranges(WEIGHTS), [None])
        self.assertEqual((self.folder / "out.phi").read_bytes(), (self.folder / "out2.phi").read_bytes())


    def test_the_other_goes_on_where_one_was_killed(self) -> None:
        hub = self.hub()
        reached, wait = threading.Event(), threading.Event()
        self.addCleanup(wait.set)
        hub.faults[WEIGHTS] = [Fault(cut=HALF, reached=reached, wait=wait)]
        with subprocess.Popen(
            self.command(), env=self.environment(hub), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as first:
            self.assertTrue(reached.wait(20))
            time.sleep(0.5)
            with subprocess.Popen(
                self.command(), env=self.environment(hub), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
            ) as second:
                self.assertTrue(any("waiting for another process" in line for line in second.stderr))
                first.kill()
                second.communicate(timeout=30)
        self.assertEqual(second.returncode, 0)
        self.assertEqual(hub.ranges(WEIGHTS), [None, f"bytes={HALF}-"])


class Offline(HubTest):
    def test_takes_the_cache_and_asks_nobody(self) -> None:
        hub = self.hub()
        self.assert_converts(hub)
        hub.requests.clear()
        for variables in ({"HF_HUB_OFFLINE": "1"}, {"TRANSFORMERS_OFFLINE": "on"}):
            said = self.assert_converts(hub, **variables)
            self.assertNotIn("cache", said)
        self.assertEqual(hub.requests, [])
        self.assert_converts(hub, HF_HUB_OFFLINE="0", TRANSFORMERS_OFFLINE="1")
        self.assertEqual(len(hub.requests), 1)

    def test_takes_the_cache_when_the_hub_does_not_answer_and_says_so(self) -> None:
        hub = self.hub()
        self.assert_converts(hub)
        for fault in ({"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_ENDPOINT": "http://no-such-host.invalid"}):
            self.assertIn(f"taking {ID} from the cache, commit {COMMIT}", self.assert_converts(hub, **fault))
        hub.listing = lambda listing: b"<html>Log in to this network</html>"
        self.assertIn("from the cache", self.assert_converts(hub))

    def test_takes_the_cache_when_the_hub_refuses_and_says_so(self) -> None:
        hub = self.hub()
        self.assert_converts(hub)
        for status, code in ((401, "GatedRepo"), (403, ""), (404, "RepoNotFound")):
            hub.faults["listing"] = [Fault(status=status, headers={"X-Error-Code": code})]
            self.assertIn(f"taking {ID} from the cache, commit {COMMIT}", self.assert_converts(hub))

    def test_refuses_what_is_not_whole(self) -> None:
        hub = self.hub(MODEL | {"generation_config.json": b"{}"})
        self.assertIn("HF_HUB_OFFLINE", self.assert_refuses(hub, "not in the cache", HF_HUB_OFFLINE="true"))
        self.assertEqual(self.run_phi(hub).returncode, 0)
        (self.folder / "out.phi").unlink()
        (self.snapshot / "generation_config.json").unlink()
        self.assert_refuses(hub, "is not whole in the cache", "generation_config.json", HF_HUB_OFFLINE="1")
        (self.entry / f"trees/{COMMIT}.json").unlink()
        self.assert_converts(hub, HF_HUB_OFFLINE="1")
        (self.folder / "out.phi").unlink()
        (self.snapshot / WEIGHTS).unlink()
        self.assert_refuses(hub, "no model.safetensors", HF_HUB_OFFLINE="1")
        self.assert_refuses(
            hub, "revision 'v9', and not in the cache", HF_HUB_OFFLINE="1", arguments=("--revision", "v9"))

    def test_a_cache_that_cannot_be_written_is_read(self) -> None:
        hub = self.hub()
        self.assert_converts(hub)
        prefix = self.in_sandbox("--ro-bind", str(self.home), str(self.home))
        self.assert_converts(hub, prefix=prefix)
        (self.entry / f"trees/{COMMIT}.json").unlink()
        self.assert_converts(hub, "--revision", COMMIT, prefix=prefix)


class SameCache(HubTest):
    """Hugging Face's own library and phi use one cache."""

    def setUp(self) -> None:
        super().setUp()
        self.python = sys.executable
        if subprocess.run([self.python, "-c", "import huggingface_hub"], capture_output=True).returncode:
            self.skipTest("huggingface_hub is not installed")

    def library(self, hub, code: str, **more: str) -> str:
        result = subprocess.run(
            [self.python, "-c", "import json, sys\nfrom huggingface_hub import *\n" + code],
            env=self.environment(hub, HF_HUB_DISABLE_TELEMETRY="1", **more),
            capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.strip()

    def test_the_library_reads_what_phi_downloaded(self) -> None:
        hub = self.hub(MODEL)
        self.assert_converts(hub)
        code = f"print(snapshot_download('{ID}'))"
        self.assertEqual(self.library(hub, code, HF_HUB_OFFLINE="1"), str(self.snapshot))
        hub.requests.clear()
        self.assertEqual(self.library(hub, code), str(self.snapshot))
        self.assertEqual(hub.paths("store"), [])
        scan = json.loads(self.library(
            hub, "i = scan_cache_dir()\n"
            "print(json.dumps([[r.repo_id, r.size_on_disk, len(r.revisions)] for r in i.repos] + [len(i.warnings)]))"))
        self.assertEqual(scan, [[ID, sum(map(len, MODEL.values())), 1], 0])
        missing = self.library(
            self.hub(MODEL | {"README.md": b"# x"}), "try:\n"
            f"    print(snapshot_download('{ID}', local_files_only=True))\n"
            "except Exception as e: print(type(e).__name__)")
        self.assertEqual(missing, str(self.snapshot), "the list of names is the one that phi kept")

    def test_phi_reads_what_the_library_downloaded(self) -> None:
        hub = self.hub(MODEL | {"README.md": b"# x"})
        self.library(hub, f"snapshot_download('{ID}', max_workers=1)")
        hub.requests.clear()
        self.assert_converts(hub, HF_HUB_OFFLINE="1")
        self.assertEqual(hub.requests, [])
        self.assert_converts(hub)
        self.assertEqual(len(hub.requests), 1)

    def test_the_library_waits_for_phi(self) -> None:
        hub = self.hub()
        reached, wait = threading.Event(), threading.Event()
        hub.faults[WEIGHTS] = [Fault(cut=HALF, reached=reached, wait=wait)]
        process = self.start_phi(hub)
        self.assertTrue(reached.wait(20))
        threading.Timer(4, wait.set).start()
        self.library(hub, f"hf_hub_download('{ID}', '{WEIGHTS}')")
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(hub.ranges(WEIGHTS), [None])


if __name__ == "__main__":
    unittest.main()
