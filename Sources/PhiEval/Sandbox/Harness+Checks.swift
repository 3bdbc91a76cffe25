extension Harness {
    /// The checks' process: it executes the checks with the program's functions as stand-ins, which call across the channel.
    static let checks = #"""
        class Raised(Exception):
            """An exception of the program of a kind that is not Python's own."""

        class Ended(BaseException):
            """The end of the program's process, or an answer that is none."""

        def refill(old, new):
            if isinstance(old, (list, bytearray)):
                old[:] = new
            elif isinstance(old, (dict, set)):
                old.clear()
                old.update(new)

        def free(text):
            """The names that a text expects; Python's own only if it expects no other, as of a program that replaces one."""
            import ast

            names = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)]
            used = {node.id for node in names if isinstance(node.ctx, ast.Load)} - {
                node.id for node in names if not isinstance(node.ctx, ast.Load)}
            return sorted(used.difference(vars(builtins)) or used)

        def main():
            job = json.loads(sys.stdin.buffer.read())
            confine(job)
            channel, remotes = Channel(), {}
            setup, checks, names = (job["checks"].get(key) for key in ("setup", "checks", "names"))

            class Remote:
                """A function or an object of the program."""
                __slots__ = ("number",)

                def __call__(self, *arguments, **keywords):
                    return call({"object": self.number}, arguments, keywords)

                def __getattr__(self, name):
                    if name.startswith("__"):
                        raise AttributeError(name)
                    return call({"builtin": "getattr"}, (self, name))

                def __iter__(self):
                    return iter(call({"builtin": "list"}, (self,)))

            def refer(value):
                if type(value) is not Remote:
                    raise TypeError("checks pass " + type(value).__name__)
                return {"object": value.number}

            def find(tag, body):
                if tag != "object" or type(body) is not int:
                    raise ValueError(tag)
                if body not in remotes:
                    remotes[body] = Remote()
                    object.__setattr__(remotes[body], "number", body)
                return remotes[body]

            def answer(arguments=()):
                """What the program answers, an exception raised; changes that it made to arguments are made here too."""
                try:
                    found = channel.receive()
                    if isinstance(found, str):
                        return found
                    raised, changed, value = found.get("raised"), found.get("changed"), None
                    if raised is None:
                        value = unpack(found["value"], find)
                        for old, new in zip(arguments, unpack(changed, find) or ()):
                            refill(old, new)
                    else:
                        detail, verdict = str(found["detail"]), "failed" if found["failed"] is True else "error"
                        kind = vars(builtins).get(raised)
                        kind = kind if isinstance(kind, type) and issubclass(kind, Exception) else Raised
                        error = kind.__new__(kind)
                        error.outcome = verdict, detail
                except (EOFError, OSError):
                    raise Ended("")
                except Exception:
                    raise Ended("gave its checks an answer that is none")
                if raised is not None:
                    raise error
                return value

            def call(function, arguments, keywords={}):
                request = [function, [pack(argument, refer) for argument in arguments],
                           {"dict": [[name, pack(argument, refer)] for name, argument in keywords.items()]}]
                try:
                    channel.send(request)
                except OSError:
                    raise Ended("")
                return answer(arguments)

            def through(name):
                setattr(Remote, f"__{name}__", lambda *arguments: call({"builtin": name}, arguments))

            def run(text, name):
                exec(compile(text, name, "exec", dont_inherit=True), namespace)

            namespace = {}
            outcome = "passed", ""
            try:
                for name in "len next str bool setattr getitem setitem contains".split():
                    through(name)
                answer()
                os.write(REPORT, b"begin\n")
                names = free(setup + "\n" + checks) if names is None else names
                channel.send(names)
                found = answer()
                namespace.update(found)
                try:
                    compile(setup, "<setup>", "exec")
                except SyntaxError:
                    setup += " pass"
                run(setup, "<setup>")
                namespace.update(found)
                run(checks, "<program>")
            except Ended as error:
                outcome = "ended", str(error)
            except BaseException as error:
                outcome = getattr(error, "outcome", None) or (
                    "failed" if isinstance(error, AssertionError) else "error", describe(error, checks))
            report = {"verdict": outcome[0], "detail": outcome[1][:1000].encode("utf-8", "replace").decode()}
            os.write(REPORT, json.dumps(report).encode() + b"\n")
            while job["waits"]:
                signal.pause()

        main()
        """#
}
