"""Benchmarks of servers by others, none of whose requests may fail: guidellm, ab and Locust."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from evaluations import write_tokenizer
from served import Served

PROMPT = "def add(a, b):\n"


def check_guidellm() -> None:
    with tempfile.TemporaryDirectory() as name, Served("--parallel", "4") as server:
        folder = Path(name)
        write_tokenizer(folder)
        subprocess.run(
            [
                Path(sys.executable).with_name("guidellm"), "run", "--backend",
                f"kind=openai_http,target={server.url},request_format=/v1/completions",
                "--profile", "kind=concurrent,streams=4", "--constraint", "kind=max_requests,count=12",
                "--tokenizer", f"kind=huggingface_auto,model={folder}",
                "--data", "kind=synthetic_text,prompt_tokens=32,output_tokens=16",
                "--output", f"kind=json,path={folder}/report.json", "--disable-console"],
            check=True, capture_output=True, cwd=folder, env=os.environ | {"HF_HUB_OFFLINE": "1"})
        report = json.loads((folder / "report.json").read_text())
        totals = report["benchmarks"][0]["metrics"]["request_totals"]
        assert totals["successful"] >= 12 and totals["errored"] == 0, totals
        requests = report["benchmarks"][0]["requests"]["successful"]
        assert all(request["output_metrics"]["text_tokens"] == 16 for request in requests), requests[0]
        print(f"guidellm: {totals['successful']} requests of 16 tokens, none failed")


def check_ab() -> None:
    if not shutil.which("ab"):
        raise SystemExit("ab was not tried: it is in the package apache2-utils")
    with Served("--parallel", "4") as server, tempfile.TemporaryDirectory() as folder:
        body = Path(folder, "body.json")
        for fields in ({}, {"stream": True}):
            body.write_text(json.dumps({"prompt": PROMPT, "max_tokens": 4, "temperature": 0, **fields}))
            for options in ([], ["-k"]):
                done = subprocess.run(
                    ["ab", *options, "-n", "20", "-c", "4", "-p", body, "-T", "application/json",
                     server.url + "/v1/completions"], check=True, capture_output=True, text=True, timeout=120)
                rows = [row.partition(":") for row in done.stdout.split("\n")]
                lines = {key: value.strip() for key, _, value in rows}
                assert lines["Complete requests"] == "20" and "Non-2xx responses" not in lines, done.stdout
    print("ab: HTTP/1.0 with and without keep-alive, whole and streamed")


def check_locust() -> None:
    """Users who complete prompts, and look at the models and the health, by both of its clients."""
    with Served("--parallel", "4") as server, tempfile.TemporaryDirectory() as folder:
        Path(folder, "locustfile.py").write_text(f"""
from locust import FastHttpUser, HttpUser


def complete(user):
    user.client.post("/v1/completions", json={{"prompt": {PROMPT!r}, "max_tokens": 4}})


def look(user):
    user.client.get("/v1/models")
    user.client.get("/health")


class User(HttpUser):
    tasks = [complete, look]


class FastUser(FastHttpUser):
    tasks = [complete, look]
""")
        done = subprocess.run(
            [Path(sys.executable).with_name("locust"), "--headless", "--users", "6", "--spawn-rate", "6",
             "--run-time", "5s", "--host", server.url, "--json"], cwd=folder, capture_output=True, text=True)
        rows = json.loads(done.stdout)
        assert done.returncode == 0 and len(rows) == 3, done.stderr
        assert all(row["num_requests"] > row["num_failures"] == 0 for row in rows), rows
        print(f"locust: {sum(row['num_requests'] for row in rows)} requests of two kinds of users, none failed")
