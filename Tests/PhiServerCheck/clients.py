"""Tests phi-server with common clients: OpenAI's, LiteLLM, EleutherAI's lm-eval, guidellm, ab, Prometheus' parser and
a browser.

    make check-clients                               creates the environment and runs this
    python Tests/PhiServerCheck/clients.py openai litellm lm-eval guidellm ab prometheus origins browser

`openai`: completions, streams, log-probabilities and errors by the official client, compared with `phi complete`.
`lm-eval`: a multiple-choice task on a generated data set, by local-completions; every log-likelihood must be that
of the logits of `phi logits`. `litellm`: completions, and the error on which its fallbacks depend. `guidellm`: a
benchmark in which no request fails. `ab`: HTTP/1.0 without and with keep-alive. `prometheus`: the metrics, read by
its own parser. `origins`, `browser`: pages of other origins, and the page at /, in a headless Chromium.
"""
from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playground import browser_options, check_browser
from served import END_OF_TEXT, REPOSITORY, Served, completed

PROMPT = "def add(a, b):\n"
SMALL = REPOSITORY / "Sources/CPhiModel/small.phi"


def check_openai() -> None:
    import openai

    with Served("--parallel", "2", "--queue", "1") as server:
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=120)
        assert [model.id for model in client.models.list()] == ["phi-small"]
        assert client.models.retrieve("phi-small").id == "phi-small"
        make = client.completions.create
        cut = make(model="phi-small", prompt=PROMPT, max_tokens=6, temperature=0)
        assert cut.choices[0].text == completed(PROMPT, 6) and cut.choices[0].finish_reason == "length"
        assert cut.usage.completion_tokens == 6 and cut.usage.total_tokens == cut.usage.prompt_tokens + 6
        expected = completed(PROMPT, 100)
        whole = make(model="phi-small", prompt=PROMPT, max_tokens=100, temperature=0)
        assert whole.choices[0].text == expected and whole.choices[0].finish_reason == "stop"
        drawn = make(
            model="phi-small", prompt=[PROMPT, "class A"], max_tokens=20, temperature=0.8, seed=5, n=2, stop=["\n\n\n"])
        assert [choice.index for choice in drawn.choices] == [0, 1, 2, 3]
        for choice, (prompt, seed) in zip(drawn.choices, [(PROMPT, 5), (PROMPT, 6), ("class A", 5), ("class A", 6)]):
            assert completed(prompt, 20, 0.8, seed).startswith(choice.text)
        stream = make(
            model="phi-small", prompt=PROMPT, max_tokens=100, temperature=0, stream=True,
            stream_options={"include_usage": True})
        pieces = list(stream)
        assert "".join(piece.choices[0].text for piece in pieces if piece.choices) == expected and len(pieces) > 5
        assert pieces[-1].usage.completion_tokens == whole.usage.completion_tokens
        scored = make(model="phi-small", prompt=PROMPT, max_tokens=4, temperature=0, logprobs=3, echo=True).choices[0]
        scores = scored.logprobs
        assert scored.text.startswith(PROMPT) and "".join(scores.tokens) == scored.text
        assert scores.token_logprobs[0] is None and all(value <= 0 for value in scores.token_logprobs[1:])
        assert all(len(top) in (3, 4) for top in scores.top_logprobs[1:])
        best = make(model="phi-small", prompt=PROMPT, max_tokens=8, temperature=1, seed=3, n=2, best_of=5)
        assert [choice.index for choice in best.choices] == [0, 1]
        longest = make(
            model="phi-small", prompt=PROMPT, max_tokens=10**6, temperature=0, extra_body={"ignore_eos": True})
        assert longest.choices[0].finish_reason == "length" and longest.usage.total_tokens == 1025
        strange = make(model="phi-small", prompt=PROMPT, max_tokens=1, extra_body={"never_heard_of": 1})
        assert strange.model_extra["warnings"] == ["unknown field never_heard_of is not used"]
        favoured = make(model="phi-small", prompt=PROMPT, max_tokens=3, temperature=0, logit_bias={"50": 100})
        assert len(set(favoured.choices[0].text)) == 1
        schema = {"type": "array", "items": {"enum": ["red", 3]}, "minItems": 2, "maxItems": 4}
        for constraint in [
            {"guided_json": schema}, {"structured_outputs": {"json": schema}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "colours", "schema": schema}}},
        ]:
            made = make(
                model="phi-small", prompt=PROMPT, max_tokens=50, temperature=1, seed=2, extra_body=constraint)
            choice = made.choices[0]
            assert set(json.loads(choice.text)) <= {"red", 3} and choice.finish_reason == "stop", choice
        for error, fields in [
            (openai.BadRequestError, {"max_tokens": -1}), (openai.BadRequestError, {"prompt": "x " * 5000}),
            (openai.NotFoundError, {"model": "gpt-4"}), (openai.BadRequestError, {"suffix": "x"}),
        ]:
            try:
                make(**{"model": "phi-small", "prompt": PROMPT, **fields})
                raise AssertionError(f"{fields} was not refused")
            except error as refusal:
                assert refusal.message and refusal.type == "invalid_request_error", refusal
        try:
            client.chat.completions.create(model="phi-small", messages=[{"role": "user", "content": "Hello"}])
            raise AssertionError("chat was not refused")
        except openai.NotFoundError as refusal:
            assert refusal.code == "not_a_chat_model"
        # A stream that is left is ended.
        left = make(
            model="phi-small", prompt=PROMPT, max_tokens=900, temperature=1, stream=True,
            logit_bias={END_OF_TEXT: -100})
        next(iter(left))
        left.close()
        for _ in range(100):
            if server.metric("phi_texts_running") == 0:
                break
            time.sleep(0.05)
        assert server.metric("phi_texts_running") == 0
    folder = tempfile.mkdtemp()
    Path(folder, "keys").write_text("right\n")
    with Served("--api-key-file", folder + "/keys") as server:
        for key, passes in (("wrong", False), ("right", True)):
            client = openai.OpenAI(base_url=server.url + "/v1", api_key=key, max_retries=0)
            try:
                client.completions.create(model="phi-small", prompt="x", max_tokens=1)
                assert passes
            except openai.AuthenticationError:
                assert not passes
    print(f"openai {openai.__version__}: completions, streams, log-probabilities and errors are right")


def write_tokenizer(folder: Path) -> None:
    """The small model's tokenizer as Hugging Face reads it, out of the .phi file by the second reader."""
    sys.path.insert(0, str(REPOSITORY / "Tools"))
    from phitools.byte_tokenizer import printable_bytes
    from phitools.phi_file import PhiFile

    tokenizer = PhiFile(SMALL).tokenizer
    letters = printable_bytes()

    def spelt(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    added = tokenizer.added
    vocabulary = {spelt(token): number for number, token in enumerate(tokenizer.tokens) if number not in added}
    pairs = [f"{spelt(tokenizer.tokens[left])} {spelt(tokenizer.tokens[right])}" for left, right, _ in tokenizer.merges]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [{
            "id": number, "content": tokenizer.tokens[number].decode(), "single_word": False, "lstrip": False,
            "rstrip": False,
            "normalized": False, "special": bool(special)} for number, special in tokenizer.added.items()],
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary, "merges": pairs}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "model_max_length": 1024}))


OPERATIONS = [
    ("add", "+", "sum"), ("subtract", "-", "difference"), ("multiply", "*", "product"), ("divide", "/", "quotient")]


def documents() -> list[dict]:
    """Which operation is missing: 48 questions."""
    found = []
    for a, b in [("a", "b"), ("x", "y"), ("first", "second"), ("left", "right")]:
        for style in range(3):
            for gold, (name, _, noun) in enumerate(OPERATIONS):
                text = [
                    f'"""Return the {noun} of {a} and {b}."""', f'"""{name.capitalize()} {a} and {b}."""',
                    f"# the {noun}"][style]
                found.append({
                    "context": f"def {name}({a}, {b}):\n    {text}\n    return {a}", "gold": gold,
                    "choices": [f" {operator} {b}" for _, operator, _ in OPERATIONS]})
    return found


def truth(tokenizer, document: dict, folder: Path) -> list[tuple[float, bool]]:
    """Log-likelihoods by `phi logits`, with the context and the continuation taken apart as lm-eval does."""
    import numpy as np

    phi = os.environ.get("PHI") or str(REPOSITORY / ".build/release/phi")
    scores = []
    for choice in document["choices"]:
        whole = tokenizer.encode(document["context"] + choice)
        start = len(tokenizer.encode(document["context"]))
        (folder / "ids.json").write_text(json.dumps(whole))
        subprocess.run(
            [phi, "logits", "--ids", folder / "ids.json", "-o", folder / "logits.npy"], check=True, capture_output=True)
        logits = np.load(folder / "logits.npy").astype(np.float64)
        shifted = logits - logits.max(-1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        places = range(start, len(whole))
        scores.append(
            (sum(logs[at - 1, whole[at]] for at in places), all(logits[at - 1].argmax() == whole[at] for at in places)))
    return scores


def check_lm_eval() -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager
    from transformers import AutoTokenizer

    os.environ.update(
        HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OPENAI_API_KEY="none")
    with tempfile.TemporaryDirectory() as name, Served("--parallel", "8") as server:
        folder = Path(name)
        write_tokenizer(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        sample = 'def f(x):\n    """Doc."""\n    return x + 1  # é\n'
        assert tokenizer.encode(sample) == server.post("/tokenize", {"content": sample})["tokens"]
        all_documents = documents()
        (folder / "operations.jsonl").write_text("".join(json.dumps(document) + "\n" for document in all_documents))
        (folder / "operations.yaml").write_text(json.dumps({
            "task": "operations", "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / "operations.jsonl")}},
            "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{context}}",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "{{gold}}", "target_delimiter": "",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]}))
        found = lm_eval.simple_evaluate(
            model="local-completions", tasks=["operations"], task_manager=TaskManager(include_path=str(folder)),
            log_samples=True,
            model_args={
                "model": "phi-small", "base_url": server.url + "/v1/completions", "tokenizer": str(folder),
                "tokenized_requests": True,
                "tokenizer_backend": "huggingface", "num_concurrent": 4, "max_length": 1024})
        samples = sorted(found["samples"]["operations"], key=lambda sample: sample["doc_id"])
        assert len(samples) == len(all_documents)
        right = worst = 0
        for document, sample in zip(all_documents, samples):
            expected = truth(tokenizer, document, folder)
            answers = [(float(answer[0]), answer[1] in (True, "True")) for answer in sample["filtered_resps"]]
            for (score, greedy), (their_score, their_greedy) in zip(expected, answers):
                worst = max(worst, abs(score - their_score))
                assert math.isclose(score, their_score, abs_tol=1e-6) and greedy == their_greedy, (
                    document, expected, answers)
            scores = [score for score, _ in expected]
            right += scores.index(max(scores)) == document["gold"]
        accuracy = found["results"]["operations"]["acc,none"]
        assert math.isclose(accuracy, right / len(samples)), (accuracy, right)
        print(
            f"lm-eval {lm_eval.__version__}: {len(samples)} questions, accuracy {accuracy:.4f} as by phi logits, "
            f"{4 * len(samples)} log-likelihoods within {worst:.1e}")


def check_litellm() -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches a list of prices
    import litellm

    litellm.suppress_debug_info = True
    with Served() as server:
        for provider in ("text-completion-openai", "hosted_vllm"):
            call = {"model": f"{provider}/phi-small", "api_base": server.url + "/v1", "api_key": "none"}
            answer = litellm.text_completion(**call, prompt=PROMPT, max_tokens=6, temperature=0)
            assert answer.choices[0].text == completed(PROMPT, 6), answer
            stream = litellm.text_completion(**call, prompt=PROMPT, max_tokens=6, temperature=0, stream=True)
            assert "".join(piece.choices[0].text or "" for piece in stream) == completed(PROMPT, 6)
            try:
                litellm.text_completion(**call, prompt="x " * 5000, max_tokens=8)
                raise AssertionError("a long prompt was not refused")
            except litellm.ContextWindowExceededError:
                pass
    print("litellm: completions and streams are right, a long prompt is its ContextWindowExceededError")


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
    import shutil

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


def check_prometheus() -> None:
    import urllib.request

    from prometheus_client.parser import text_string_to_metric_families

    with Served() as server:
        server.post("/v1/completions", {"prompt": PROMPT, "max_tokens": 4})
        with urllib.request.urlopen(server.url + "/metrics", timeout=60) as answer:
            families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
        assert families["phi_completion_tokens"].type == "counter"
        assert families["phi_completion_tokens"].samples[0].value == 4
        buckets = [s for s in families["phi_step_seconds"].samples if s.name.endswith("_bucket")]
        assert buckets[-1].labels["le"] == "+Inf"
        print(f"prometheus: {len(families)} families of metrics are read by its parser")


def check_origins() -> None:
    """Pages of other origins read an answer where it is allowed; a name that leads here is not the server's."""
    import http.server
    import threading

    from selenium import webdriver

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    ask = """const [url, done] = arguments;
        fetch(url, {method: "POST", headers: {"Content-Type": "application/json"},
                    body: JSON.stringify({prompt: "x", max_tokens: 1})})
            .then(answer => answer.json())
            .then(answer => done(answer.object || answer.error.code), () => done("blocked"))"""
    own = browser_options()
    own["options"].add_argument("--host-resolver-rules=MAP rebound.example 127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as pages, webdriver.Chrome(**own) as browser:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{pages.server_port}"
        for options, expected in (
                ([], "blocked"), (["--allow-origin", "http://other.example"], "blocked"),
                (["--allow-origin", origin], "text_completion"), (["--allow-origin", "*"], "text_completion")):
            with Served(*options) as server:
                browser.get(origin)
                found = browser.execute_async_script(ask, server.url + "/v1/completions")
                assert found == expected, (options, found)
        with Served() as server:
            browser.get(f"http://rebound.example:{server.port}/")
            found = browser.execute_async_script(ask, "/v1/completions")
            assert found == "host_not_allowed", found
        pages.shutdown()
    print("origins: pages of other origins and rebound names are kept out, allowed origins are let in")


CHECKS = {
    "openai": check_openai, "litellm": check_litellm, "lm-eval": check_lm_eval, "guidellm": check_guidellm,
    "ab": check_ab, "prometheus": check_prometheus, "origins": check_origins, "browser": check_browser}

if __name__ == "__main__":
    for name in sys.argv[1:] or CHECKS:
        CHECKS[name]()
