"""Writes the manual pages of a command, one for each subcommand, from the options as the command itself describes them.

    python3 Tools/package/man.py .build/release/phi share/man/man1
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


def escape(text: str) -> str:
    """Text as troff prints it unchanged."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in text.split("\n"))


def bold(text: str) -> str:
    return f"\\fB{escape(text)}\\fR"


def spelling(name: dict) -> str:
    return ("--" if name["kind"] == "long" else "-") + name["name"]


def synopsis(argument: dict) -> str:
    """An argument of the command line as the synopsis shows it."""
    value = f"\\fI{escape(argument['valueName'])}\\fR"
    if argument["kind"] == "positional":
        text = value
    else:
        text = bold(spelling(argument["preferredName"]))
        if argument["kind"] == "option":
            text += " " + value
    if argument["isRepeating"]:
        text += " ..."
    return f"[{text}]" if argument["isOptional"] else text


def described(argument: dict) -> str:
    """A paragraph on an argument."""
    value = f"\\fI{escape(argument['valueName'])}\\fR"
    head = value
    if argument["kind"] != "positional":
        names = sorted(argument["names"], key=lambda name: name["kind"] == "long")
        head = ", ".join(bold(spelling(name)) for name in names)
        if argument["kind"] == "option":
            head += " " + value
    text = escape(" ".join(part for part in (argument.get("abstract"), argument.get("discussion")) if part))
    if "defaultValue" in argument:
        text += f" The default is {escape(argument['defaultValue'])}."
    return f".TP\n{head}\n{text}"


def arguments(command: dict) -> list[dict]:
    return [argument for argument in command.get("arguments", []) if argument["shouldDisplay"]]


def children(command: dict) -> list[dict]:
    return [child for child in command.get("subcommands", []) if child["commandName"] != "help"]


def page(names: list[str], command: dict, version: str, date: str) -> str:
    title = "-".join(names)
    subcommands = children(command)
    # Without a subcommand's name its default is meant, so its options may follow.
    default = next((c for c in subcommands if c["commandName"] == command.get("defaultSubcommand")), {})
    own = {argument["valueName"] for argument in arguments(command)}
    options = sorted(
        [*arguments(command), *(a for a in arguments(default) if a["valueName"] not in own)],
        key=lambda a: (a["kind"] == "positional", a["isOptional"]))
    abstract = command["abstract"].rstrip(".")
    lines = [
        f'.TH {title.upper()} 1 {date} "swift\\-phi {version}" "swift\\-phi"', ".nh", ".SH NAME",
        f"{escape(title)} \\- {escape(abstract[0].lower() + abstract[1:])}", ".SH SYNOPSIS", bold(" ".join(names)),
        *(["[\\fIsubcommand\\fR]" if default else "\\fIsubcommand\\fR"] if subcommands else []),
        *map(synopsis, options),
    ]
    if "discussion" in command:
        lines += [".SH DESCRIPTION", escape(command["discussion"]).replace("\n\n", "\n.PP\n")]
    if options:
        lines += [".SH OPTIONS", *map(described, options)]
    if subcommands:
        lines += [".SH SUBCOMMANDS"]
        for child in subcommands:
            lines += [".TP", f"\\fB{escape(title)}\\-{escape(child['commandName'])}\\fR(1)", escape(child["abstract"])]
    if len(names) > 1:
        lines += [".SH SEE ALSO", f"\\fB{escape('-'.join(names[:-1]))}\\fR(1)"]
    return "\n".join(lines) + "\n"


def pages(names: list[str], command: dict, version: str, date: str) -> Iterator[tuple[str, str]]:
    yield "-".join(names) + ".1", page(names, command, version, date)
    for child in children(command):
        yield from pages([*names, child["commandName"]], child, version, date)


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a command's manual pages.")
    parser.add_argument("command", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()

    def printed(argument: str) -> str:
        return subprocess.run([options.command, argument], check=True, capture_output=True, text=True).stdout

    described = json.loads(printed("--experimental-dump-help"))["command"]
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages([described["commandName"]], described, printed("--version").strip(), date):
        (options.folder / name).write_text(text)


if __name__ == "__main__":
    main()
