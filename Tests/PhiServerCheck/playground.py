"""Checks the page at / in a headless Chromium: fields, errors, tokens, colours, the keyboard and a phone's screen."""
from __future__ import annotations

import os
import shutil
import time

from served import Served, completed

# The contrast of every text with the first opaque background behind it, and of the edges of fields and buttons, as
# [what, ratio, least]: WCAG 2.2, 1.4.3 and 1.4.11.
CONTRAST = """
const parse = (color) => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
  .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const color = parse(getComputedStyle(element).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.body.querySelectorAll("*:not(script)")) {
  const style = getComputedStyle(element), field = element.matches("input, textarea, button");
  const name = element.tagName + "#" + element.id;
  const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || element.value;
  if (element.disabled) continue;
  if (hasText) found.push([name, ratio(parse(style.color), behind(element)), 4.5]);
  if (element.placeholder) {
    const hint = parse(getComputedStyle(element, "::placeholder").color);
    found.push([name + " placeholder", ratio(hint, behind(element)), 4.5]);
  }
  if (field) found.push([name + " edge", ratio(parse(style.borderTopColor), behind(element.parentElement)), 3]);
  if (Number(style.opacity) !== 1) found.push([name + " opacity", 0, 1]);
}
return found;
"""


def browser_options() -> dict:
    """The arguments of `webdriver.Chrome`."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        raise SystemExit("the browser was not checked: there is no chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return {"options": options, "service": webdriver.ChromeService(driver)}


class Page:
    """The page of a server in a browser."""

    def __init__(self, browser, server: Served) -> None:
        self.browser, self.server = browser, server
        browser.get(server.url + "/")
        # What the page sends is kept, to be looked at.
        self.run("const send = fetch; window.sent = []; window.fetch = (url, options) => {"
                 " if (options.body) sent.push(JSON.parse(options.body)); return send(url, options); }")

    def run(self, script: str, *arguments: object) -> object:
        return self.browser.execute_script(script, *arguments)

    def read(self, name: str) -> str:
        return self.run("return document.getElementById(arguments[0]).textContent", name)

    def status(self, *until: str) -> str:
        """What the page says as soon as it has one of these."""
        for _ in range(1200):
            text = self.read("status")
            if any(word in text for word in until):
                return text
            time.sleep(0.05)
        raise AssertionError(f"the page says {text!r}, none of {until}")

    def fill(self, **values: str) -> None:
        for name, value in values.items():
            self.run("document.getElementById(arguments[0]).value = arguments[1]", name, value)

    def go(self, *until: str) -> str:
        self.run("document.getElementById('go').click()")
        return self.status(*until)

    def idle(self) -> None:
        for _ in range(200):
            if self.server.metric("phi_texts_running") == 0:
                return
            time.sleep(0.05)
        raise AssertionError("a text runs on that nobody waits for")


def check_fields(page: Page) -> None:
    """Empty fields are not sent, but a seed is; its text can be made again."""
    prompt = page.run("return document.getElementById('prompt').value")
    page.fill(max_tokens="6", temperature="0", stop="")
    said = page.go("ended by")
    assert said.startswith("6 tokens, ") and "tokens/s" in said and "seed" not in said, said
    assert page.read("text") == prompt + completed(prompt, 6), page.read("text")
    page.fill(max_tokens="", temperature="", top_p="", top_k="", seed="", stop="")
    said = page.go("; seed ")
    body = page.run("return sent.at(-1)")
    assert set(body) == {"prompt", "stream", "stream_options", "logprobs", "seed"} and str(body["seed"]) in said, body
    first = page.read("text")
    page.fill(seed=str(body["seed"]))
    page.go("ended by")
    assert page.read("text") == first
    page.fill(seed="")
    page.go("; seed ")
    assert page.run("return sent.at(-1).seed") != body["seed"]


def check_errors(page: Page) -> None:
    """Errors are told, and the text that is there stays."""
    page.fill(max_tokens="6", temperature="0")
    page.go("ended by")
    text = page.read("text")
    page.fill(max_tokens="-1")
    assert "max_tokens" in page.go("max_tokens") and page.read("text") == text
    assert page.run("return document.getElementById('status').className") == "error"
    page.fill(max_tokens="6")
    page.run("window.kept = fetch; fetch = async () => new Response('<h1>Bad gateway</h1>', {status: 502})")
    assert "Bad gateway" in page.go("Bad gateway") and page.read("text") == text
    page.run("fetch = async () => new Response('data: {\"choices\":[{\"text\":\"x\",\"logprobs\":{\"tokens\":[\"x\"],"
             "\"token_logprobs\":[-1],\"top_logprobs\":[{}],\"text_offset\":[0]}}]}\\n\\n"
             "data: {\"error\":{\"message\":\"it broke\"}}\\n\\n')")
    page.go("it broke")
    assert page.read("text").endswith("x")
    page.run("fetch = kept")


def check_stop(page: Page) -> None:
    """A stopped text ends on the server, and the tokens that came are counted. Some end by themselves before that."""
    page.fill(max_tokens="900", temperature="2")
    for _ in range(50):
        page.go(" tokens, ")
        page.run("document.getElementById('end').click()")
        said = page.status("stopped", "ended by")
        if "stopped" in said:
            break
    assert "stopped" in said, said
    assert said.startswith(f"{page.run('return tokens.length')} tokens"), said
    assert page.run("return tokens.map((token) => token.span.textContent).join('')") in page.read("text")
    page.idle()


def check_tokens(page: Page) -> None:
    """Pointing at a token, or the arrow keys, show what was likely there."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    page.fill(max_tokens="8", temperature="0", prompt="def f(x):\n    # é \U0001F600\n")
    page.go("ended by")
    tokens = page.run("return tokens.map(({text, score, top, span}) => ({text, score, top, shown: span.textContent}))")
    assert len(tokens) == 8
    assert all(token["shown"] == token["text"] or token["text"] == "<|endoftext|>" for token in tokens), tokens
    assert all(token["score"] == max(token["top"].values()) for token in tokens)
    spans = page.browser.find_elements(By.CSS_SELECTOR, "#text b span")
    visible = next(number for number, token in enumerate(tokens) if token["text"].strip())
    ActionChains(page.browser).move_to_element(spans[visible]).perform()
    likely = page.read("likely")
    assert likely.count("%") >= 5 and f"({tokens[visible]['score']:.3f})" in likely, likely
    page.browser.find_element(By.ID, "text").send_keys(Keys.END)
    assert f"({tokens[-1]['score']:.3f})" in page.read("likely")
    page.browser.find_element(By.ID, "text").send_keys(Keys.ARROW_LEFT)
    assert f"({tokens[-2]['score']:.3f})" in page.read("likely")


def check_keyboard(page: Page) -> None:
    """Everything is reached by Tab, in order; Control-Enter continues and Escape stops."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.fill(max_tokens="900", temperature="2")
    page.run("document.getElementById('prompt').focus()")
    order = []
    for _ in range(9):
        order.append(page.run("return document.activeElement.id"))
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        assert page.run("return document.activeElement.matches(':focus-visible') &&"
                        " getComputedStyle(document.activeElement).outlineStyle") == "solid"
    order.append(page.run("return document.activeElement.id"))
    fields = ["max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "key"]
    assert order == ["prompt", *fields, "go", "text"], order
    for _ in range(50):
        ActionChains(page.browser).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
        page.status(" tokens, ")
        ActionChains(page.browser).send_keys(Keys.ESCAPE).perform()
        if "stopped" in page.status("stopped", "ended by"):
            return page.idle()
    raise AssertionError("Escape stops nothing")


def check_colours(page: Page) -> None:
    page.fill(max_tokens="4", temperature="0")
    page.go("ended by")
    page.run("choose(0)")
    for scheme in ("light", "dark"):
        page.browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        for kind in ("", "error"):
            page.run("document.getElementById('status').className = arguments[0]", kind)
            pairs = page.run(CONTRAST)
            low = [pair for pair in pairs if pair[1] < pair[2]]
            assert len(pairs) > 20 and not low, (scheme, low)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def check_phone(page: Page) -> None:
    """On a screen of 360 pixels nothing is cut off, and fingers hit fields and buttons."""
    page.browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
    assert page.run("return innerWidth") == 360
    assert page.run("return document.documentElement.scrollWidth") <= 360
    small = page.run(
        "return [...document.querySelectorAll('input, button')].map((e) => [e.id, e.getBoundingClientRect()])"
        ".filter(([, box]) => box.height < 44 || box.width < 44 || box.right > 360).map(([id]) => id)")
    assert not small, small
    if "SCREENSHOT" in os.environ:
        page.browser.save_screenshot(os.environ["SCREENSHOT"])
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def check_browser() -> None:
    from selenium import webdriver

    checks = [check_fields, check_errors, check_stop, check_tokens, check_keyboard, check_colours, check_phone]
    # In plain C, which is slow, so that a completion can be stopped before its end.
    with Served(PHI_ISA="reference") as server, webdriver.Chrome(**browser_options()) as browser:
        for check in checks:
            check(Page(browser, server))
        faults = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        faults = [fault for fault in faults if "400" not in fault and "favicon" not in fault]
        assert not faults, faults
    print("browser: the page's fields, errors, stops, tokens, keys and colours are right, and it fits a phone")
