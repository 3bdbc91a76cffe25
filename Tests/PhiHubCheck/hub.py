"""A stand-in of Hugging Face's hub: the part of its HTTP interface that downloads use, on this machine.

    with Hub({"owner/name": {"config.json": b"{}"}}) as hub:
        hub.faults["config.json"] = [Fault(cut=1), Fault(status=500)]     # the first two answers; then the file
        ...  HF_ENDPOINT=hub.address

Large files (`*.safetensors`, `*.bin`, `*.gguf`) are redirected to a second server, as the hub does.
"""
from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "fedcba9876543210fedcba9876543210fedcba98"
LARGE = (".safetensors", ".bin", ".gguf")


@dataclass
class Fault:
    """An answer that differs from the right one. Without a status, it is the file, changed by what follows."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Other content than the file's."""
    cut: int | None = None
    """Bytes after which the connection breaks."""
    wait: threading.Event | None = None
    """What is waited for after these bytes, instead of breaking the connection."""
    reached: threading.Event | None = None
    """Set when these bytes are sent."""
    ignores_range: bool = False
    shift: int = 0
    """Added to the start that `Content-Range` tells."""
    endless: bool = False
    chunked: bool = False


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def etag(name: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if name.endswith(LARGE) else git_sha1(content)


class Hub:
    """Two servers: the hub, and the one that large files are redirected to."""

    def __init__(self, repositories: dict[str, dict[str, bytes]], tls=None) -> None:
        self.repositories = repositories
        self.revisions = {"main": COMMIT, COMMIT: COMMIT, "v1/test": OTHER_COMMIT, OTHER_COMMIT: OTHER_COMMIT}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.listing = lambda listing: listing
        self.redirect = lambda address: address
        self.token: str | None = None
        self.gated = False
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Server, path and headers of each request."""
        self.servers = {name: self._serve(name, tls) for name in ("hub", "store")}
        scheme = "https" if tls else "http"
        self.address = f"{scheme}://127.0.0.1:{self.servers['hub'].server_port}"
        self.store = f"{scheme}://localhost:{self.servers['store'].server_port}"

    def _serve(self, name: str, tls) -> ThreadingHTTPServer:
        handler = type("Named", (Handler,), {"hub": self, "name": name})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    def paths(self, server: str) -> list[str]:
        return [path for name, path, _ in self.requests if name == server]

    def ranges(self, name: str) -> list[str | None]:
        """The ranges in which a file was asked for where it is served."""
        server = "store" if name.endswith(LARGE) else "hub"
        return [
            headers.get("Range") for which, path, headers in self.requests
            if which == server and path.split("?")[0].endswith("/" + name) and "/api/" not in path]


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    name: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass  # the client has gone

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str = "", message: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self.send(status, {name: text for name, text in headers.items() if text}, b'{"error": "no"}')

    def answer(self) -> None:
        hub = self.hub
        hub.requests.append((self.name, self.path, dict(self.headers)))
        path, _, _ = self.path.partition("?")
        parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
        if self.name == "store":
            return self.serve_file(parts[-1], hub.repositories["/".join(parts[:2])][parts[-1]], {})
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            if self.headers.get("Authorization"):
                return self.refuse(401, "", "Invalid credentials in Authorization header")
            return self.refuse(401, "GatedRepo" if hub.gated else "RepoNotFound", "Access is restricted")
        if hub.gated and not hub.token:
            return self.refuse(403, "GatedRepo", "Access is restricted")
        api = parts[:2] == ["api", "models"]
        owner, name, kind, revision, *rest = [*(parts[2:] if api else parts), "", "", "", ""]
        files = hub.repositories.get(f"{owner}/{name}")
        if files is None:
            known = self.headers.get("Authorization")
            return self.refuse(404 if known else 401, "RepoNotFound", "Repository not found")
        commit = hub.revisions.get(revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if api:
            return self.serve_listing(kind, commit, files)
        file = rest[0]
        if file not in files or hub.faults[file] and hub.faults[file][0].status == 404:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        tag = etag(file, files[file])
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git_sha1(files[file])}"'}
        if file.endswith(LARGE):
            headers |= {"X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(files[file]))}
            location = hub.redirect(f"{hub.store}/{owner}/{name}/{file}?signature=x%2Fy")
            if location:
                return self.send(302, headers | {"Location": location})
        self.serve_file(file, files[file], headers)

    def serve_listing(self, kind: str, commit: str, files: dict[str, bytes]) -> None:
        siblings = []
        for name, content in files.items():
            sibling = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
            if name.endswith(LARGE):
                sibling["lfs"] = {"sha256": etag(name, content), "size": len(content), "pointerSize": 130}
            siblings.append(sibling)
        if kind == "tree":
            tree = [
                {"type": "file", "path": file["rfilename"], "size": file["size"], "oid": file["blobId"]}
                | ({"lfs": {"oid": file["lfs"]["sha256"], **file["lfs"]}} if "lfs" in file else {})
                for file in siblings]
            return self.send(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())
        listing = self.hub.listing({"id": "x", "sha": commit, "siblings": siblings, "private": False, "tags": []})
        body = listing if isinstance(listing, bytes) else json.dumps(listing).encode()
        self.serve_file("listing", body, {"Content-Type": "application/json"})

    def serve_file(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        faults = self.hub.faults[name]
        fault = faults.pop(0) if faults and self.command == "GET" else Fault()
        if fault.status:
            return self.send(fault.status, fault.headers, fault.body or b"")
        content = content if fault.body is None else fault.body
        status, start = 200, 0
        wanted = self.headers.get("Range")
        headers = {"Accept-Ranges": "bytes", **headers}
        if wanted and not fault.ignores_range:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send(416, {"Content-Range": f"bytes */{len(content)}"})
            status = 206
            headers["Content-Range"] = f"bytes {start + fault.shift}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        self.send_response(status)
        if fault.chunked or fault.endless:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body))
        for key, value in (headers | fault.headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return None
        if fault.endless:
            while True:
                self.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        if fault.chunked:
            self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
            return None
        if fault.cut is None:
            self.wfile.write(body)
            return None
        self.wfile.write(body[:fault.cut])
        self.wfile.flush()
        if fault.reached:
            fault.reached.set()
        if fault.wait:
            fault.wait.wait(30)
            self.wfile.write(body[fault.cut:])
        else:
            self.close_connection = True
        return None
