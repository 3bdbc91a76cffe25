"""Compare `phi tokenize` with `tokenizers` on every source file of Python's standard library.

    python Tools/golden/tokenizer_stdlib.py TOKENIZER.json .build/release/phi [-m MODEL] [--documents 1000]

TOKENIZER.json is the tokenizer of the converted model, by default the embedded small model. Random documents
(documents.py) are compared too. Prints a line per difference and the counts; the exit status is 1 if any text differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import sysconfig

import tokenizers

from documents import SplitMix64, document

SEED = 20230621  # different from that of the committed goldens


def texts(documents):
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(library.rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        try:
            # Decoded without newline translation.
            yield str(path), path.read_bytes().decode()
        except UnicodeDecodeError:
            continue  # a few of the library's tests are deliberately in other encodings
    random = SplitMix64(SEED)
    for number in range(documents):
        yield f"document {number}", document(random)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("phi", help="the phi command")
    parser.add_argument("-m", "--model")
    parser.add_argument("--documents", type=int, default=1000)
    arguments = parser.parse_args()
    reference = tokenizers.Tokenizer.from_file(str(arguments.tokenizer))
    command = [arguments.phi, "tokenize", "--ids"] + (["-m", arguments.model] if arguments.model else [])
    compared = bytes_compared = different = 0
    for name, text in texts(arguments.documents):
        expected = reference.encode(text, add_special_tokens=False).ids
        run = subprocess.run(command, input=text.encode(), capture_output=True)
        if run.returncode != 0:
            raise SystemExit(f"{name}: {' '.join(command)} exited with {run.returncode}: {run.stderr.decode()}")
        found = json.loads(run.stdout)
        compared += 1
        bytes_compared += len(text.encode())
        if found != expected:
            different += 1
            end = min(len(found), len(expected))
            place = next((place for place in range(end) if found[place] != expected[place]), end)
            print(f"{name}: id {place} is {found[place:place + 4]}, should be {expected[place:place + 4]}")
    print(f"{compared} texts, {bytes_compared} bytes, {different} different; tokenizers {tokenizers.__version__}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
