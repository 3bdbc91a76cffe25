"""Print completions of a few fixed prompts from a checkpoint.

    python Tools/train/sample.py build/train/run/final
    python Tools/train/sample.py build/train/run/final --temperature 0.6 --seed 7 --prompt 'def half(x):'

Cost: seconds for all prompts. Expect each prompt and its completion, up to the end-of-text token, the next top-level
statement (two blank lines) or `--tokens` tokens. With temperature 0, the default, the most likely token is taken.
"""
from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import PhiForCausalLM, PreTrainedTokenizerFast

PROMPTS = [
    'def factorial(n: int) -> int:\n    """Return the factorial of n."""\n',
    'def is_prime(n):\n    """Check if n is a prime number."""\n',
    'def count_vowels(text: str) -> int:\n    """Count the vowels in a string."""\n',
    'def sum_of_squares(numbers: list[int]) -> int:\n    """Return the sum of the squares of the even numbers in numbers."""\n',
    'def words_longer_than_7(words: list[str]) -> list[str]:\n    """Return the words in words longer than 7 characters."""\n',
    'def rectangle_area(width, height):\n    """Return the area of a rectangle.\n\n    >>> rectangle_area(3, 4)\n    12\n    """\n',
    'def smallest_odd(values: list[int]) -> int:\n    """Return the smallest odd number, or None."""\n',
    'class Stack:\n    """A simple stack of items."""\n\n',
    'def print_prime(n):\n    """\n    Print all primes between 1 and n\n    """\n',
    'def discount(price: float, rate: float) -> float:\n    """Return the price after subtracting rate percent."""\n',
    'import os\n\ndef read_lines(path):\n    """Read a file and return its lines without the newline."""\n',
]


@torch.no_grad()
def complete(model: PhiForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str, most: int, temperature: float) -> str:
    """The model's continuation of a prompt."""
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    start = ids.shape[1]
    cache = None
    step = ids
    for _ in range(most):
        out = model(input_ids=step, past_key_values=cache, use_cache=True)
        cache, logits = out.past_key_values, out.logits[0, -1].float()
        token = int(logits.argmax()) if temperature == 0 else int(torch.multinomial(torch.softmax(logits / temperature, -1), 1))
        if token == tokenizer.eos_token_id:
            break
        step = torch.tensor([[token]])
        ids = torch.cat([ids, step], dim=1)
        if "\n\n\n" in tokenizer.decode(ids[0, start:]):
            break
    return tokenizer.decode(ids[0, start:]).split("\n\n\n")[0].rstrip("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--prompt", action="append", help=r"a prompt; \n is a line break (may be repeated)")
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1337)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.checkpoint)
    model = PhiForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32).eval()
    for prompt in [p.replace("\\n", "\n") for p in args.prompt] if args.prompt else PROMPTS:
        print(prompt + complete(model, tokenizer, prompt, args.tokens, args.temperature))
        print("-" * 60)


if __name__ == "__main__":
    main()
