"""Medians, ratios and Markdown of a results file, independent of how it was measured."""
from __future__ import annotations

from statistics import median
from textwrap import fill
from typing import Any

from compare.cases import CASES, DECODE, DECODE_AT_DEPTH, Case

# Each of our weight types with the peers' of about as many bits; ratios refer to the first of them.
KINDS = {
    "swift-phi q4": [
        "llama.cpp Q4_0", "llama.cpp Q4_K_M", "ik_llama.cpp Q4_0", "OpenVINO GenAI int4", "onnxruntime-genai int4"],
    "swift-phi q8": ["llama.cpp Q8_0", "ik_llama.cpp Q8_0"],
}

Medians = dict[tuple[str, str], float]


def medians(data: dict[str, Any]) -> Medians:
    """Return the median sample of each contender and case."""
    values: dict[tuple[str, str], list[float]] = {}
    for sample in data["samples"]:
        values.setdefault((sample["contender"], sample["case"]), []).append(sample["value"])
    return {key: median(samples) for key, samples in values.items()}


def samples(data: dict[str, Any], contender: str, case: str) -> list[dict[str, Any]]:
    return [sample for sample in data["samples"] if (sample["contender"], sample["case"]) == (contender, case)]


def median_detail(data: dict[str, Any], contender: str, case: str, detail: str) -> float | None:
    """Return the median of a detail of the samples, such as the share of the read rate."""
    values = [sample[detail] for sample in samples(data, contender, case) if sample.get(detail) is not None]
    return median(values) if values else None


def median_ratio(data: dict[str, Any], over: tuple[str, str], under: tuple[str, str]) -> float | None:
    """Return the median over rounds of the ratio of two samples. Samples of the same round are compared, because a
    machine's speed drifts."""
    above, below = ({sample["round"]: sample["value"] for sample in samples(data, *which)} for which in (over, under))
    both = [above[number] / below[number] for number in above.keys() & below.keys()]
    return median(both) if both else None


def better(data: dict[str, Any], ours: str, theirs: str, case: Case) -> float | None:
    """Return how many times better ours is: faster, earlier or smaller."""
    pair = ((ours, case.name), (theirs, case.name))
    return median_ratio(data, *(pair if case.more_is_better else reversed(pair)))


def contenders(data: dict[str, Any]) -> list[str]:
    """Return the contenders in the order of their first samples, then those without samples."""
    order = list(dict.fromkeys(sample["contender"] for sample in data["samples"]))
    return order + [label for label in data["failures"] if label not in order]


def shown(value: float | None, case: Case) -> str:
    if value is None:
        return "-"
    if case.unit == "s":
        return f"{value:.3f} s"
    if case.unit == "MB":
        return f"{value:.0f} MB"
    return f"{value:.1f}"


def figures(data: dict[str, Any]) -> str:
    """Return the table of medians, with a row per contender and a column per case."""
    found = medians(data)
    cases = [case for case in CASES if any((label, case.name) in found for label in contenders(data))]
    lines = ["| tok/s unless stated | " + " | ".join(case.title for case in cases) + " |"]
    lines.append("|---|" + "---|" * len(cases))
    for label in contenders(data):
        cells = [shown(found.get((label, case.name)), case) for case in cases]
        if all(cell == "-" for cell in cells):
            cells[0] = "failed: " + data["failures"].get(label, "no samples").replace("|", "/")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratios(data: dict[str, Any]) -> str:
    """Return the table of comparisons: our medians, the ratios to the peers, and the share of the machine's limit."""
    found = medians(data)
    lines = [
        "| | swift-phi | against llama.cpp | against the best peer | of the machine's limit |", "|---|---|---|---|---|"]
    for ours, peers in KINDS.items():
        for case in CASES:
            value = found.get((ours, case.name))
            if value is None:
                continue
            theirs = {peer: ratio for peer in peers if (ratio := better(data, ours, peer, case))}
            cells = [
                f"{ours.split()[-1]}, {case.title}", shown(value, case) + (" tok/s" if case.more_is_better else "")]
            first = theirs.get(peers[0])
            cells.append(f"{first:.2f} x {peers[0].split()[-1]}" if first else "-")
            best = min(theirs, key=theirs.get, default=None)
            cells.append(f"{theirs[best]:.2f} x {best}" if best else "-")
            cells.append(limit(data, ours, case))
            lines.append("| " + " | ".join(cells) + " |")
    for label in contenders(data):
        kept = keep(data, label)
        if kept is not None:
            lines.append(f"| {label}: decode at depth 1024 over depth 0 | {kept:.2f} | | | |")
    return "\n".join(lines)


def limit(data: dict[str, Any], contender: str, case: Case) -> str:
    if case.generate:
        share, rate = (median_detail(data, contender, case.name, name) for name in ("read_share", "read_gbps"))
        return f"{share:.2f} of {rate:.1f} GB/s" if share and rate else "-"
    share, rate = (median_detail(data, contender, case.name, name) for name in ("int8_share", "int8_tops"))
    return f"{share:.2f} of {rate:.2f} TOPS" if share and rate else "-"


def keep(data: dict[str, Any], contender: str) -> float | None:
    """Return the ratio of decode speed at depth 1024 to that at depth 0."""
    return median_ratio(data, (contender, DECODE_AT_DEPTH), (contender, DECODE))


def wrapped(text: str) -> str:
    """Wrap a text at 160 characters."""
    return fill(text, width=160, break_long_words=False, break_on_hyphens=False)


def rounds(data: dict[str, Any]) -> str:
    """Return the number of rounds in words, and which cases have fewer."""
    found: dict[str, int] = {}
    for case in CASES:
        numbers = {sample["round"] for sample in data["samples"] if sample["case"] == case.name}
        if numbers:
            found[case.title] = len(numbers)

    def named(count: int) -> str:
        return f"{count} round{'s' if count != 1 else ''}"
    most = max(found.values(), default=0)
    fewer = [
        f"of {named(count)} for " + ", ".join(title for title, n in found.items() if n == count)
        for count in sorted({n for n in found.values() if n < most}, reverse=True)]
    return f"{named(most)} in turn" + (f" ({'; '.join(fewer)})" if fewer else "")


def page(data: dict[str, Any], picture: str) -> str:
    """Return a results file as Markdown."""
    setting = data["setting"]
    machine = setting["machine"]
    flags = ", ".join(machine["flags"])
    parts = [
        wrapped(
            f"{machine['cpu']}, {machine['cores']} cores{' of a virtual machine' if machine['virtual'] else ''}, "
            f"{machine['memory_gb']} GB ({flags}); {setting['threads']} threads"
            + (f", held to {setting['isa']}" if setting["isa"] != "native" else "")
            + f"; {data['date'][:10]}; medians of {rounds(data)}, ratios are the medians of the rounds' ratios."),
        f"![Tokens a second]({picture})",
        ratios(data),
        figures(data),
        wrapped("Versions: " + "; ".join(f"{label}: {version}" for label, version in data["versions"].items()) + "."),
    ]
    partly = {
        label: why for label, why in data["failures"].items() if any(s["contender"] == label for s in data["samples"])}
    if partly:
        parts.append(wrapped("Failed in part: " + "; ".join(f"{label}: {why}" for label, why in partly.items()) + "."))
    return "\n\n".join(parts) + "\n"


BEGIN, END = "<!-- results: made by make bench -->", "<!-- end of results -->"


def insert_results(document: str, text: str) -> str:
    """Return the document with the text between its marks replaced."""
    before, found, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise ValueError(f"the page has no marks for the results, {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


