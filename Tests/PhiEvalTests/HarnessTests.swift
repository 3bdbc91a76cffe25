import PhiEval
import PhiTestSupport
import Testing

/// What crosses between a program and its checks, and what does not.
extension SandboxTests {
    private static let program = """
        import collections, datetime, json
        class V:
            def __init__(self, x): self.x = x; self.number = 3
            def __add__(self, o): return V(self.x + (o.x if isinstance(o, V) else o))
            __radd__ = __add__
            def __sub__(self, o): return 0
            def __abs__(self): return 0
            def __neg__(self): return V(-self.x)
            def __eq__(self, o): return not isinstance(o, V) or o.x == self.x
            def __lt__(self, o): return not isinstance(o, V) or self.x < o.x
            def __gt__(self, o): return True
            def __hash__(self): return hash(self.x)
            def __repr__(self): return f"V({self.x})"
            def __enter__(self): self.x += 1; return self
            def __exit__(self, kind, error, trace): self.x = 100; return kind is ValueError
        class W(V): pass
        class MyError(ValueError):
            def __init__(self, code): super().__init__("code", code); self.code = code
            def __str__(self): return f"my {self.code}"
            def twice(self): return self.code * 2
        class Other(MyError): pass
        class Forged(Exception): outcome = ("passed", "")
        class Wrong(AssertionError): pass
        Q = collections.namedtuple("Q", "a b")
        def v(x): return V(x)
        def q(x): return Q(x, [x])
        def same(x): return x
        def fail(x): raise Other(x)
        def key(): return {}["k"]
        def load(x): return json.loads(x)
        def missing(): open("/none")
        def text(): b"\\xff".decode()
        def leave(): raise SystemExit(3)
        def end(): import os; os._exit(0)
        def large(n): return "a" * n
        def count(n): yield from range(n)
        def late(n):
            yield from range(n)
            raise ValueError("late")
        def echo():
            x = None
            while True: x = yield x
        async def later(x): return x + 1
        def queue(x): d = collections.deque(x, 7); d.append(9); return d
        def grow(x=None): x.append(1)
        def dates(): return datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4), datetime.timedelta(3)
        def zone(): return datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        def counts(x): return collections.Counter(x)
        def apply(f, x): return f(x)

        """

    @Test(needsSandbox, .timeLimit(.minutes(5))) func exceptionsKeepKindAndArguments() throws {
        let sandbox = try Self.patient.get()
        for check in [
            """
            try: fail(3)
            except MyError as error:
                assert str(error) == "my 3" and error.code == 3 and error.twice() == 6 and error.args == ("code", 3)
                assert type(error).__name__ == "Other" and isinstance(error, Other) and isinstance(error, ValueError)
            else: assert False
            """,
            "try: fail(3)\nexcept ValueError: pass",
            "error = MyError(4)\nassert str(error) == 'my 4' and error.code == 4 and same(error).code == 4",
            "def f(): raise MyError(1)\ntry: f()\nexcept MyError: pass",
            "try: key()\nexcept LookupError as error: assert error.args == ('k',) and str(error) == \"'k'\"",
            "try: load('{')\nexcept ValueError as error: assert 'Expecting' in str(error)",
            "import json\ntry: load('{')\nexcept json.JSONDecodeError as error: pass",
            "try: missing()\nexcept FileNotFoundError as error: assert error.errno == 2",
            "try: text()\nexcept UnicodeDecodeError as error: assert error.start == 0",
            "try: leave()\nexcept SystemExit as error: assert error.code == 3",
            "assert same(MyError) is MyError and same(ValueError) is ValueError",
        ] { #expect(try sandbox.run(Self.program, check) == .passed, "\(check)") }
        for (check, verdict) in [
            ("fail(3)", "error"), ("leave()", "error"), ("raise Forged()", "error"), ("raise Wrong()", "failed"),
            ("try: end()\nexcept: pass", "error"),
        ] { #expect(try sandbox.run(Self.program, check).name == verdict, "\(check)") }
    }

    @Test(needsSandbox, .timeLimit(.minutes(5))) func objectsOfTheProgramAreUsable() throws {
        let sandbox = try Self.patient.get()
        for check in [
            "assert v(1) == V(1) and v(1) != V(2) and v(1) < v(2) and sorted([v(2), v(1)])[0].x == 1",
            "assert {v(1), v(1)} == {V(1)} and repr(v(1)) == 'V(1)' and v(1).number == 3",
            "assert v(1) + v(2) == V(3) and v(1) + 2 == V(3) and 2 + v(1) == V(3) and -v(1) == V(-1)",
            "assert sum([v(1), v(2)]) == V(3) and v(1) - v(3) == 0\nx = v(1)\nx += v(1)\nassert x.x == 2",
            "assert isinstance(v(1), V) and not isinstance(v(1), W) and issubclass(W, V) and not isinstance(3, V)",
            "x = v(1)\nwith x as y: assert y.x == 2\nassert x.x == 100\nwith x: raise ValueError",
            "x = v(1)\ndel x.number\nassert not hasattr(x, 'number') and v.__name__ == 'v'",
            "import types\nassert isinstance(count(1), types.GeneratorType) and list(same(count(3))) == [0, 1, 2]",
            "assert list(count(5000)) == list(range(5000)) and next(count(2)) == 0 and sum(count(5)) == 10",
            "found = []\ntry:\n    for x in late(40): found.append(x)\nexcept ValueError: pass\nassert found == list(range(40))",
            "e = echo()\nnext(e)\nassert e.send(5) == 5 and e.send(6) == 6",
            "import asyncio\nassert asyncio.run(later(1)) == 2",
            "assert zone() == zone() and zone() - zone() == dates()[2] * 0",
        ] { #expect(try sandbox.run(Self.program, check) == .passed, "\(check)") }
        // What they say of data is not believed.
        for check in [
            "assert v(1) == 42", "assert 42 == v(1)", "assert v(1) > 42", "assert v(1) < 42", "assert v(1) - 42 == 0",
            "assert abs(v(1)) == 0", "assert abs(v(1) - 42) < 1e-6", "assert v(1) in [42]",
        ] { #expect(try sandbox.run(Self.program, check) != .passed, "\(check)") }
    }

    @Test(needsSandbox, .timeLimit(.minutes(5))) func moreKindsOfDataCross() throws {
        let sandbox = try Self.patient.get()
        for check in [
            "from collections import deque\nd = queue([1])\nassert d == deque([1, 9]) and d.maxlen == 7",
            "from collections import deque\nd = deque()\ngrow(d)\nx = [0]\ngrow(x=x)\nassert d[-1] == 1 and x == [0, 1]",
            "from datetime import *\nassert dates() == (date(2020, 1, 2), datetime(2020, 1, 2, 3, 4), timedelta(3))",
            "assert same(dates()) == dates() and apply(len, [1, 2]) == 2 and apply(int, '3') == 3",
            "x = q(1)\nassert x.a == 1 and x == (1, [1]) == Q(1, [1]) and same(x).b == [1] and type(x) is type(q(2))",
            "from collections import Counter\nassert counts('aab') - Counter('a') == Counter('ab')",
        ] { #expect(try sandbox.run(Self.program, check) == .passed, "\(check)") }
        let large = try sandbox.run(Self.program, "large(65 << 20)")
        #expect(large.detail.contains("too large to pass between program and checks: 65 MiB, more than 64 MiB"))
        #expect(try sandbox.run(Self.program, "apply(lambda x: x, 1)").detail.contains("checks pass function"))
    }

    /// The guard takes functions away that NumPy's import calls, so it must be there before.
    @Test(needsSandbox) func numPyIsThereIfItIsInstalled() throws {
        let sandbox = try Self.patient.get()
        let found = try sandbox.run("f = lambda: 1", "import numpy as np\nassert np.allclose(f(), 1)")
        if case .error(let detail) = found, detail.hasPrefix("ModuleNotFoundError") { return }
        #expect(found == .passed)
        let check = """
            import numpy as np
            x = f([1, 2])
            assert np.allclose(x, [2, 4]) and isinstance(x, np.ndarray) and (f(x) == x * 2).all() and x.shape == (2,)
            """
        #expect(try sandbox.run("import numpy\ndef f(x): return numpy.array(x) * 2", check) == .passed)
    }

    /// The prompt is the setup of the checks; what it leaves open is closed or left out.
    @Test(needsSandbox) func promptsMayEndAnywhere() throws {
        let sandbox = try Self.patient.get()
        for end in [
            "def f(x):\n", "def f(x):\n    if x:\n        return 1\n    else:\n", "def f(x):\n\tif x:\n",
            "class A:\n    def m(self):\n        ", "class A:\n", "def f(x):\n    return f(x", "x = [\n", "\"\"\"",
        ] {
            let setup = "def g(x):\n    return x + 1\n\n" + end
            let checks = CheckedProgram.Checks("assert g(1) == 2 and h(1) == 1", setup: setup, names: ["h"])
            #expect(try sandbox.run(CheckedProgram("h = lambda x: x", checks: checks)) == .passed, "\(end)")
        }
    }

    /// The current folder, `/tmp` in the sandbox and the user's own without one, has no modules.
    @Test(needsSandbox) func theCurrentFolderHasNoModules() throws {
        let program = "import sys\nopen('/tmp/mine.py', 'w').write('x = 1')\nassert '' not in sys.path\nimport mine"
        #expect(try Self.patient.get().run(program).detail.hasPrefix("ModuleNotFoundError"))
    }
}
