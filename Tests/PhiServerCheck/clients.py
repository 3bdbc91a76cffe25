"""Tests phi-server with common clients: OpenAI's, LiteLLM, LangChain, LlamaIndex, llm, EleutherAI's lm-eval, evalplus,
guidellm, ab, Locust, Prometheus' parser and a browser.

    make check-clients                               creates the environment and runs this
    python Tests/PhiServerCheck/clients.py openai litellm frameworks lm-eval evalplus guidellm ab locust prometheus \\
        origins browser

`openai`: completions, streams, log-probabilities and errors by the official client, compared with `phi complete`.
`lm-eval`: a multiple-choice task on a generated data set, by local-completions; every log-likelihood must be that
of the logits of `phi logits`. `litellm`: completions, and the error on which its fallbacks depend. `frameworks`:
completions by LangChain, LlamaIndex and llm. `evalplus`: the same verdicts as `phi eval` on its samples. `guidellm`,
`locust`: benchmarks in which no request fails. `ab`: HTTP/1.0 without and with keep-alive. `prometheus`: the metrics,
read by its own parser. `origins`, `browser`: pages of other origins, and the page at /, in a headless Chromium. The
bodies of clients that are not installed here are in Tests/PhiServerTests/ClientBodyTests.swift.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import check_ab, check_guidellm, check_locust
from evaluations import check_evalplus, check_lm_eval
from playground import browser_options, check_browser
from served import END_OF_TEXT, Served, completed

PROMPT = "def add(a, b):\n"


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


def check_frameworks() -> None:
    """LangChain, LlamaIndex and the command llm."""
    from langchain_openai import OpenAI
    from llama_index.llms.openai_like import OpenAILike

    with Served() as server, tempfile.TemporaryDirectory() as folder:
        url, expected = server.url + "/v1", completed(PROMPT, 6)
        chain = OpenAI(model="phi-small", base_url=url, api_key="none", max_tokens=6, temperature=0)
        assert chain.invoke(PROMPT) == expected == "".join(chain.stream(PROMPT))
        assert chain.batch([PROMPT] * 3) == [expected] * 3
        index = OpenAILike(
            model="phi-small", api_base=url, api_key="none", is_chat_model=False, max_tokens=6, temperature=0)
        assert index.complete(PROMPT).text == expected == "".join(part.delta for part in index.stream_complete(PROMPT))
        Path(folder, "extra-openai-models.yaml").write_text(json.dumps([
            {"model_id": "phi", "model_name": "phi-small", "api_base": url, "completion": True}]))
        for options in ([], ["--no-stream"]):
            done = subprocess.run(
                [Path(sys.executable).with_name("llm"), "-m", "phi", "-o", "max_tokens", "6", "-o", "temperature", "0",
                 "--no-log", *options, PROMPT], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                env=os.environ | {"LLM_USER_PATH": folder})
            assert done.stdout == expected + "\n", done
    print("frameworks: LangChain, LlamaIndex and llm get the same completions, whole and streamed")


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
    "openai": check_openai, "litellm": check_litellm, "frameworks": check_frameworks, "lm-eval": check_lm_eval,
    "evalplus": check_evalplus, "guidellm": check_guidellm, "ab": check_ab, "locust": check_locust,
    "prometheus": check_prometheus, "origins": check_origins, "browser": check_browser}

if __name__ == "__main__":
    for name in sys.argv[1:] or CHECKS:
        CHECKS[name]()
