"""The library in a host with other OpenMP runtimes, which forks, and whose threads are limited."""
import os
import shutil
import sys
import textwrap

from test_c_api import LIBRARY, MODEL, ROOT, APITest, run, tool

SUM = """
double sum(int n) {
    double total = 0;
#pragma omp parallel for reduction(+ : total) num_threads(4)
    for (int i = 0; i < n; i++) total += i;
    return total;
}
"""
SCRIPT = """
import ctypes, os, sys
import phi

def complete(threads=3):
    return phi.Session(phi.Model({model!r}), threads=threads).complete("def f(x):", maximum_tokens=8)

expected = complete(1)
"""


class InAHost(APITest):
    def runs(self, body: str, command: tuple[str, ...] = (sys.executable,), **variables: str) -> None:
        """Run a script in a process of its own, with phi and with `expected`, what it completes."""
        script = SCRIPT.format(model=str(MODEL)) + textwrap.dedent(body)
        environment = {**os.environ, "PHI_LIBRARY": str(LIBRARY), "PYTHONPATH": str(ROOT / "Tools/python"), **variables}
        outcome = run(*command, "-c", script, env=environment)
        self.assertEqual((outcome.returncode, outcome.stderr), (0, ""), f"{body}\n{outcome.stdout}")

    def other_runtime(self) -> str:
        """A library that computes by the OpenMP runtime of the C compiler."""
        source = self.folder / "sum.c"
        source.write_text(SUM)
        outcome = run(tool("cc"), "-fopenmp", "-shared", "-fPIC", source, "-o", self.folder / "libsum.so")
        if outcome.returncode:
            print("\nSKIPPED: cc has no OpenMP", file=sys.stderr, flush=True)
            self.skipTest("cc has no OpenMP")
        return str(self.folder / "libsum.so")

    def test_links_no_openmp(self) -> None:
        self.assertNotIn("omp", self.succeeds(tool("readelf"), "--dynamic", "--wide", LIBRARY).lower())

    def test_beside_another_openmp(self) -> None:
        library = self.other_runtime()
        for order in ("other(); mine()", "mine(); other()", "other(); mine(); other(); mine()"):
            self.runs(f"""
                def other():
                    library = ctypes.CDLL({library!r})
                    library.sum.restype = ctypes.c_double
                    assert library.sum(1000) == 499500

                def mine():
                    assert complete() == expected

                {order}
                """)

    def test_beside_torch(self) -> None:
        self.beside("torch", """
            torch.set_num_threads(4)
            a = torch.ones(300, 300)
            assert (a @ a).sum().item() == 300 ** 3
            """)

    def test_beside_scikit_learn(self) -> None:
        self.beside("sklearn.cluster", """
            import numpy
            points = numpy.arange(4000.0).reshape(-1, 2)
            assert len(sklearn.cluster.KMeans(3, n_init=1, random_state=0).fit(points).labels_) == 2000
            """)

    def beside(self, module: str, use: str) -> None:
        """Run phi before and after a module that brings an OpenMP runtime of its own."""
        if run(sys.executable, "-c", f"import {module}").returncode:
            print(f"\nSKIPPED: {module} is not here", file=sys.stderr, flush=True)
            self.skipTest(f"{module} is not here")
        for order in ("other(); mine(); other()", "mine(); other(); mine()"):
            self.runs(f"""
                import textwrap

                def other():
                    exec("import {module}\\n" + textwrap.dedent({use!r}), {{}})

                def mine():
                    assert complete() == expected

                {order}
                """)

    def test_children_go_on(self) -> None:
        self.runs("""
            session = phi.Session(phi.Model({model!r}), threads=3)
            assert session.complete("def f(x):", maximum_tokens=8) == expected
            for _ in range(3):
                child = os.fork()
                if child == 0:
                    session.truncate(0)
                    same = session.complete("def f(x):", maximum_tokens=8) == expected
                    os._exit(0 if same and complete(4) == expected else 1)
                assert os.waitpid(child, 0)[1] == 0
                session.truncate(0)
                assert session.complete("def f(x):", maximum_tokens=8) == expected
            """.replace("{model!r}", repr(str(MODEL))))

    def test_little_memory_is_an_error(self) -> None:
        """What grows with the arguments is refused where the system has no memory for it."""
        self.runs("""
            import resource

            model = phi.Model({model!r})
            session = phi.Session(model, threads=1)
            tokens = (ctypes.c_int32 * (1 << 22))()
            text = ctypes.create_string_buffer(b"x" * 20_000_000)
            library, handle, count = phi._library.library, ctypes.c_void_p(), ctypes.c_size_t()
            options = phi._library.SessionOptions(
                size=ctypes.sizeof(phi._library.SessionOptions), threads=1, draft_corpus=tokens,
                draft_corpus_count=len(tokens))
            used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
            resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), -1))
            for status, call in [
                (7, lambda: library.phi_session_open(model._open(), ctypes.byref(options), ctypes.byref(handle))),
                (7, lambda: library.phi_tokenize(model._open(), text, 20_000_000, 0, None, 0, ctypes.byref(count))),
                (7, lambda: library.phi_generation_begin_text(
                    session._open(), text, ctypes.c_size_t(20_000_000), None, ctypes.byref(handle))),
                (5, lambda: library.phi_session_append(session._open(), tokens, len(tokens))),
            ]:
                assert call() == status, (call(), library.phi_error_message())
            assert session.complete("def f(x):", maximum_tokens=8) == expected
            """.replace("{model!r}", repr(str(MODEL))))

    def test_threads_of_small_stacks(self) -> None:
        self.runs("""
            import threading

            made = []
            for kilobytes in (64, 128, 192):
                threading.stack_size(kilobytes << 10)
                for threads in (1, 2):
                    thread = threading.Thread(target=lambda: made.append(complete(threads)))
                    thread.start()
                    thread.join()
            assert made == [expected] * 6, made
            """)

    def test_sessions_of_small_stacks_share_a_thread(self) -> None:
        """Two threads with small stacks, where the system allows one thread more to compute for them."""
        self.runs("""
            import threading

            both, opening, made = threading.Barrier(2), threading.Lock(), []
            model = phi.Model({model!r})

            def work():
                with opening:
                    session = phi.Session(model, threads=1)
                both.wait()
                made.append(session.complete("def f(x):", maximum_tokens=8))

            threading.stack_size(128 << 10)
            threads = [threading.Thread(target=work) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert made == [expected] * 2, made
            """.replace("{model!r}", repr(str(MODEL))), self.limited(4), PYTHONDONTWRITEBYTECODE="1")

    def test_variables_do_not_matter(self) -> None:
        self.runs("assert complete(8) == expected", OMP_NUM_THREADS="", KMP_AFFINITY="x", OMP_THREAD_LIMIT="0")

    def test_fewer_threads_do(self) -> None:
        self.runs("assert complete(8) == expected", self.limited(1), PYTHONDONTWRITEBYTECODE="1")

    def limited(self, threads: int) -> tuple[str, ...]:
        """The command of a Python with at most `threads` threads; as another user than root, whom no limit binds."""
        python = shutil.which("python3", path="/usr/bin") or tool("python3")
        command = (tool("prlimit"), f"--nproc={threads}:{threads}", python)
        if os.geteuid() != 0 and threads > 1:
            print("\nSKIPPED: other processes of this user count", file=sys.stderr, flush=True)
            self.skipTest("other processes of this user count")
        if os.geteuid() == 0:
            command = (tool("setpriv"), "--reuid=65432", "--regid=65432", "--clear-groups", *command)
        if run(*command, "-c", f"open({str(LIBRARY)!r})").returncode:
            print("\nSKIPPED: another user cannot read these files", file=sys.stderr, flush=True)
            self.skipTest("another user cannot read these files")
        return command
