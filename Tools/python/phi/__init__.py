"""swift-phi for Python: inference of Microsoft's phi-1 family from .phi files, on the CPU.

    import phi

    with phi.Model("phi-1.phi") as model, phi.Session(model) as session:
        for piece in session.generate("def fibonacci(n):\\n", maximum_tokens=64):
            print(piece.text, end="", flush=True)

`Model` is a mapped file, `Session` a sequence of tokens with its KV cache, `Generation` a completion token by token.
All three are context managers and close themselves when they are collected. Arguments of a wrong type raise TypeError;
everything else that fails raises `Error`, whose text is one line. None of them can be copied or pickled; `Session.fork`
copies a session.

Any number of threads may use a model. A session, its forks and its generations may be used by one thread at a time;
only Generation.cancel may be called from another. Python's other threads run while the library computes; Ctrl-C acts
at the next piece of a generation, which is after all of a long prompt, and within 256 tokens of `append` and `score`.
A child of os.fork may go on with what its parent opened, if no other thread was in a call of the library.

Needs the standard library only; logits are NumPy arrays where NumPy is installed. The package loads libphi from
$PHI_LIBRARY, else its own copy, else from the system's library path.
"""
from ._library import Cancelled, Error, version
from ._model import Model
from ._session import Generation, Piece, Session

__version__ = version
__all__ = ["Cancelled", "Error", "Generation", "Model", "Piece", "Session", "version"]
