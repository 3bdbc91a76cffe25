"""Downloads that fail: each ends with one line that says what to do, and leaves nothing that disturbs a later one."""
from __future__ import annotations

import os
import resource
import shutil
import socket
import ssl
import subprocess
import unittest
from pathlib import Path

from hub import COMMIT, Fault, Hub, etag, git_sha1
from phi_process import ADAPTER, ID, MODEL, ROOT, SHARDED, WEIGHTS, HubTest, tool

SIZE = len(MODEL[WEIGHTS])
WRONG = bytes(SIZE)


class Content(HubTest):
    def test_refuses_content_of_another_hash(self) -> None:
        for name, algorithm in [(WEIGHTS, "SHA-256"), ("config.json", "git's SHA-1")]:
            with self.subTest(name=name):
                hub = self.hub()
                wrong = bytes(len(MODEL[name]))
                hub.faults[name] = [Fault(body=wrong)]
                self.assert_refuses(
                    hub, f"{ID}: '{name}' is damaged: its {algorithm} is not {etag(name, MODEL[name])}; it is deleted")
                self.assertEqual(self.incomplete(), [])
                self.assertNotIn(wrong, self.blobs().values())
                self.assert_converts(hub)
                (self.folder / "out.phi").unlink()
                shutil.rmtree(self.home)

    def test_refuses_a_part_that_was_damaged(self) -> None:
        hub = self.hub()
        blob = self.entry / "blobs" / (etag(WEIGHTS, MODEL[WEIGHTS]) + ".incomplete")
        blob.parent.mkdir(parents=True)
        blob.write_bytes(b"x" * 1000)
        self.assert_refuses(hub, "is damaged")
        self.assertEqual(hub.ranges(WEIGHTS), ["bytes=1000-"])
        self.assert_converts(hub)

    def test_refuses_content_of_another_size(self) -> None:
        for body in (MODEL[WEIGHTS][:-1], MODEL[WEIGHTS] + b"x", b""):
            with self.subTest(size=len(body)):
                hub = self.hub()
                hub.faults[WEIGHTS] = [Fault(body=body)]
                self.assert_refuses(hub, f"has {len(body)} bytes, not {SIZE}")
                self.assertEqual(self.incomplete(), [])

    def test_refuses_a_body_without_end(self) -> None:
        hub = self.hub()
        hub.faults[WEIGHTS] = [Fault(endless=True)]
        self.assert_refuses(hub, f"is longer than {SIZE} bytes")
        self.assertEqual(self.incomplete(), [])
        hub.faults["listing"] = [Fault(endless=True)]
        self.assert_refuses(hub, "sends a list of files without end")
        hub.faults[WEIGHTS] = [Fault(headers={f"X-{n}": "x" * 60000 for n in range(9)})]
        self.assert_refuses(hub, "headers")

    def test_refuses_another_part_and_keeps_its_own(self) -> None:
        hub = self.hub()
        hub.faults[WEIGHTS] = [Fault(cut=1000), Fault(shift=1)]
        self.assert_refuses(hub, "sends another part", notices=1)
        self.assertEqual(self.incomplete(), [MODEL[WEIGHTS][:1000]])
        hub.faults[WEIGHTS] = [Fault(body=b"<html>", ignores_range=True)]
        self.assert_refuses(hub, "has 6 bytes")
        self.assertEqual(self.incomplete(), [MODEL[WEIGHTS][:1000]])
        self.assert_converts(hub)

    def test_gives_up_after_five_breaks_without_a_byte(self) -> None:
        hub = self.hub()
        hub.faults[WEIGHTS] = [Fault(cut=100)] + [Fault(cut=0)] * 9
        self.assert_refuses(hub, "run again, which goes on where this ended", notices=4)
        self.assertEqual(self.incomplete(), [MODEL[WEIGHTS][:100]])


class Access(HubTest):
    def test_says_what_to_do_without_access(self) -> None:
        token = {"HF_TOKEN": "hf_old"}
        hub = self.hub()
        self.assert_refuses(
            hub, "no/model: no such file or directory, and 127.0.0.1", "set HF_TOKEN, or run `hf auth login`",
            model="no/model")
        self.assert_refuses(hub, "none that the token in HF_TOKEN may see", model="no/model", **token)
        hub.token = "hf_new"
        self.assert_refuses(hub, "or a private one; for that, set HF_TOKEN")
        self.assert_refuses(hub, "rejects the token in HF_TOKEN; make another on ", **token)
        self.home.mkdir()
        (self.home / "token").write_text("hf_file")
        self.assert_refuses(hub, f"rejects the token in {self.home}/token")
        (self.home / "token").unlink()
        hub.gated = True
        self.assert_refuses(hub, f"{ID}: is gated; accept its terms on {hub.address}/{ID}, then set HF_TOKEN")
        hub.token = None
        self.assert_refuses(hub, "is gated, and the account of the token in HF_TOKEN has no access", **token)
        hub.gated = False
        hub.faults["config.json"] = [Fault(status=401, headers={"X-Error-Code": "GatedRepo"})]
        self.assert_refuses(hub, f"{ID}: is gated; accept its terms")
        hub.faults["config.json"] = [Fault(status=403, headers={"X-Error-Message": "No\x1b[31m permission"})]
        self.assert_refuses(hub, "forbids it: 'No\ufffd[31m permission'; the token in HF_TOKEN may lack", **token)

    def test_refuses_tokens_that_would_become_headers(self) -> None:
        hub = self.hub()
        self.assert_refuses(hub, "HF_TOKEN: holds no token", HF_TOKEN="hf_x\r\nX-Evil: 1")
        self.assertEqual(hub.requests, [])

    def test_names_what_is_not_there(self) -> None:
        hub = self.hub()
        self.assert_refuses(hub, f"{ID}: has no revision 'v9'", arguments=("--revision", "v9"))
        hub.faults[WEIGHTS] = [Fault(status=404)]
        self.assert_refuses(hub, f"{ID}: has no file '{WEIGHTS}'")
        hub.faults[WEIGHTS] = [Fault(status=418)]
        self.assert_refuses(hub, "answers with status 418")
        for revision in ("../x", "a//b", "", "a\nb"):
            self.assertEqual(self.run_phi(hub, "--revision", revision).returncode, 64)

    def test_gives_up_when_it_has_to_wait_for_long(self) -> None:
        hub = self.hub()
        hub.faults["listing"] = [Fault(status=429, headers={"Retry-After": "3600"})]
        self.assert_refuses(hub, "too many requests (429); wait 3600 s")

    def test_paths_are_not_ids(self) -> None:
        hub = self.hub()
        for path in ("owner/model/x", "./owner/model", "../owner", "owner", "owner--x/model", "owner/..", "a b/c"):
            self.assert_refuses(hub, "no such file or directory", model=path)
        self.assertEqual(hub.requests, [])


class Redirects(HubTest):
    def test_ends_a_loop(self) -> None:
        hub = self.hub()
        hub.redirect = lambda address: f"/{ID}/resolve/{COMMIT}/{WEIGHTS}"
        self.assert_refuses(hub, "redirects without end")
        self.assertEqual(len([path for path in hub.paths("hub") if path.endswith(WEIGHTS)]), 11)

    def test_refuses_other_schemes(self) -> None:
        hub = self.hub()
        secret = self.folder / "secret"
        secret.write_bytes(MODEL[WEIGHTS])
        for address in (f"file://{secret}", "ftp://127.0.0.1/x", "gopher://x", "http://[", "http://"):
            with self.subTest(address=address):
                hub.redirect = lambda _, address=address: address
                self.assert_refuses(hub)
                self.assertNotIn(MODEL[WEIGHTS], self.blobs().values())

    def test_sends_the_token_to_no_host_that_looks_alike(self) -> None:
        hub = self.hub()
        store = hub.servers["store"].server_port
        for address in (f"http://127.0.0.1@localhost:{store}/{ID}/{WEIGHTS}", f"http://LOCALHOST:{store}/{ID}/{WEIGHTS}",
                        f"http://127.1:{store}/{ID}/{WEIGHTS}"):
            hub.redirect = lambda _, address=address: address
            self.run_phi(hub, HF_TOKEN="hf_secret")
            shutil.rmtree(self.home, ignore_errors=True)
        sent = [headers.get("Authorization", "") for server, _, headers in hub.requests if server == "store"]
        self.assertTrue(sent)
        self.assertFalse([line for line in sent if "hf_secret" in line])


class Listing(HubTest):
    def test_refuses_what_is_no_listing(self) -> None:
        hub = self.hub()
        for body in (b"", b"{}", b"[]", b"<html>", b'{"sha": "main", "siblings": []}', b"[" * 100_000, b"\0",
                     b"\xff\xfe{", b'{"sha": "../../x", "siblings": []}', b'{"sha": 1, "siblings": {}}'):
            hub.listing = lambda _, body=body: body
            with self.subTest(body=body[:30]):
                self.assert_refuses(hub)
        self.assertFalse((self.home / "hub").exists())

    def test_refuses_sizes_and_hashes_that_are_none(self) -> None:
        hub = self.hub()
        for change in ({"size": None}, {"size": -1}, {"blobId": "../../../x"}, {"blobId": None}, {"size": 1 << 63},
                       {"size": 0.5}):
            hub.listing = lambda listing, change=change: {**listing, "siblings": [
                file | (change if file["rfilename"] == "config.json" else {}) for file in listing["siblings"]]}
            with self.subTest(change=change):
                self.assert_refuses(hub)
        hub.listing = lambda listing: {
            **listing, "siblings": [file | {"size": (1 << 63) - 1, "lfs": None} for file in listing["siblings"]]}
        self.assert_refuses(hub, "impossible sizes")

    def test_names_of_files_lead_nowhere(self) -> None:
        evil = dict.fromkeys(("../../../evil", "/tmp/evil", "a/../../evil", "x\0y", "", "..", "\n"), b"x")
        hub = self.hub(MODEL | evil)
        self.assert_converts(hub)
        self.assertEqual({path.name for path in self.snapshot.iterdir()}, set(MODEL))
        self.assertFalse(list(self.folder.rglob("evil")))
        for name in ("../evil.safetensors", "/tmp/evil.safetensors", "..", "a\\b", "", "x\0y"):
            with self.subTest(name=name):
                index = SHARDED["model.safetensors.index.json"].replace(
                    b"model-00001-of-00003.safetensors", name.replace("\\", "\\\\").replace("\0", "\\u0000").encode())
                hub = self.hub(SHARDED | {"model.safetensors.index.json": index, name: b"x"})
                (self.folder / "out.phi").unlink(missing_ok=True)
                self.assert_refuses(hub)
                self.assertFalse(list(self.folder.rglob("evil*")))
                self.assertEqual(hub.paths("store"), [])

    def test_names_a_shard_that_is_not_there(self) -> None:
        files = {name: content for name, content in SHARDED.items() if "00002" not in name}
        hub = self.hub(files)
        self.assert_refuses(hub, "has no file 'model-00002-of-00003.safetensors'")
        self.assertEqual(hub.paths("store"), [])

    def test_says_what_a_repository_lacks(self) -> None:
        without = {name: {key: value for key, value in MODEL.items() if key != name} for name in MODEL}
        for files, fault in [
            (without["config.json"], "has no config.json"),
            (without["tokenizer.json"], "holds no tokenizer"),
            (without["tokenizer.json"] | {"vocab.json": b"{}"}, "has no merges.txt"),
            (without[WEIGHTS], "holds no checkpoint: no model.safetensors"),
            ({"tf_model.h5": b"", **without[WEIGHTS]}, "holds no checkpoint: no model.safetensors"),
            ({"phi.Q4_K.gguf": b"", "README.md": b""},
             f"holds no checkpoint but GGUF files ('phi.Q4_K.gguf'); download one, `hf download {ID} 'phi.Q4_K.gguf'"),
            (without[WEIGHTS] | {"a.gguf": b"", "b.gguf": b"", "c.gguf": b"", "d.gguf": b""},
             "holds no checkpoint but GGUF files ('a.gguf', 'b.gguf', 'c.gguf', ...)"),
            (ADAPTER, "is a PEFT adapter, not a model; give it by --adapter"),
            ({}, "has no config.json"),
        ]:
            with self.subTest(fault=fault):
                hub = self.hub(files)
                self.assert_refuses(hub, f"{ID}: {fault}")
                self.assertEqual(len(hub.requests), 1)
        hub = self.hub()
        self.assert_refuses(hub, f"{ID}: holds no adapter: no adapter_config.json", arguments=("--adapter", ID))


class Network(HubTest):
    def test_names_a_host_without_address_or_answer(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            self.assert_refuses(None, f"127.0.0.1:{port}: cannot be connected to", HF_ENDPOINT=f"http://127.0.0.1:{port}")
        self.assert_refuses(None, "no-such-host.invalid: has no known address", HF_ENDPOINT="http://no-such-host.invalid/")
        for address in ("file:///etc", "no address", "ftp://x"):
            self.assert_refuses(None, "HF_ENDPOINT: is no address of HTTP", HF_ENDPOINT=address)

    def test_refuses_a_connection_without_tls(self) -> None:
        hub = self.hub()
        self.assert_refuses(None, "no secure connection", HF_ENDPOINT=hub.address.replace("http:", "https:"))

    def test_trusts_certificates_that_the_environment_names(self) -> None:
        certificate, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(
            [tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
            check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        hub = self.hub(tls=context)
        hub.token = "hf_x"
        self.assert_refuses(hub, "no secure connection", "SSL_CERT_FILE")
        self.assertEqual(hub.requests, [])
        self.assert_converts(hub, SSL_CERT_FILE=str(certificate), HF_TOKEN="hf_x")
        with Hub({ID: MODEL}) as plain:
            shutil.rmtree(self.home)
            (self.folder / "out.phi").unlink()
            hub.redirect = lambda address: f"{plain.address}/{ID}/{WEIGHTS}"
            self.assert_refuses(
                hub, "redirects to an address without TLS", SSL_CERT_FILE=str(certificate), HF_TOKEN="hf_x")
            self.assertEqual(plain.requests, [])


class Disk(HubTest):
    def test_refuses_before_the_download_when_the_disk_is_too_small(self) -> None:
        self.home.mkdir()
        hub = self.hub()
        prefix = self.in_sandbox("--size", "45056", "--tmpfs", str(self.home))
        self.assert_refuses(hub, f"{ID}: needs 64.48 kB more, but {self.home}/hub has ", "set HF_HOME", prefix=prefix)
        self.assertEqual(hub.paths("store"), [])

    def test_says_so_when_the_disk_is_full_and_goes_on_later(self) -> None:
        hub = self.hub()
        self.assert_refuses(
            hub, "cannot be written: File too large; free some space and run again",
            preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
        self.assertEqual(self.incomplete(), [MODEL[WEIGHTS][:20000]])
        self.assert_converts(hub)
        self.assertEqual(hub.ranges(WEIGHTS), [None, "bytes=20000-"])

    def test_a_link_in_the_place_of_a_part_is_not_followed(self) -> None:
        hub = self.hub()
        blobs = self.entry / "blobs"
        blobs.mkdir(parents=True)
        victim = self.folder / "victim"
        victim.write_text("precious")
        (blobs / (etag(WEIGHTS, MODEL[WEIGHTS]) + ".incomplete")).symlink_to(victim)
        self.assert_refuses(hub, "cannot be written")
        self.assertEqual(victim.read_text(), "precious")

    def test_names_a_folder_that_cannot_be_made(self) -> None:
        hub = self.hub()
        (self.folder / "file").write_text("")
        self.assert_refuses(hub, "cannot be made", HF_HOME=str(self.folder / "file/home"))
        self.assertEqual(len(hub.requests), 1)

    def test_says_what_to_install_when_libcurl_is_missing(self) -> None:
        folders = ("/usr/lib", "/lib", "/usr/local/lib")
        libraries = {path.resolve() for folder in folders for path in Path(folder).rglob("libcurl*.so*")}
        prefix = self.in_sandbox(*(part for path in libraries for part in ("--ro-bind", "/dev/null", str(path))))
        hub = self.hub()
        self.assert_refuses(hub, "libcurl: is not installed", "libcurl4", "hf download", prefix=prefix)
        self.assertEqual(hub.requests, [])


class Curl(unittest.TestCase):
    def test_the_numbers_are_those_of_the_header(self) -> None:
        compiler = tool("clang")
        folders = ["-I" + str(ROOT / "Sources/CPhiHTTP"), *os.environ.get("CURL_CFLAGS", "").split()]
        found = subprocess.run(
            [compiler, *folders, "-E", "-"], input="#include <curl/curl.h>\n", capture_output=True, text=True)
        if found.returncode:
            self.skipTest("no curl/curl.h")
        source = Path(__file__).with_name("curl_abi.c")
        subprocess.run([compiler, *folders, "-Wno-deprecated-declarations", "-fsyntax-only", source], check=True)


class StandIn(unittest.TestCase):
    def test_git_hashes_as_git_does(self) -> None:
        self.assertEqual(git_sha1(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")


if __name__ == "__main__":
    unittest.main()
