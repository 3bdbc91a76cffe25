extension Harness {
    /// The checks' process: it executes the checks with the program's functions as stand-ins, which call across the channel.
    ///
    /// What it may believe is limited where a program could otherwise pass without a right value: an object of the program equals no
    /// data, is ordered with none, and an operator between it and data gives an object again.
    static let checks = #"""
        class Ended(BaseException):
            """The end of the program's process, or an answer that is none."""

        def refill(old, new):
            if isinstance(old, (list, bytearray)):
                old[:] = new
            elif isinstance(old, collections.deque):
                old.clear()
                old.extend(new)
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

        def runnable(text):
            """The longest beginning of a text that Python compiles, `pass` in a block that it opens."""
            lines = text.split("\n")
            for count in range(len(lines), 0, -1):
                head = "\n".join(lines[:count])
                last = head.rstrip().split("\n")[-1]
                depth = last[:len(last) - len(last.lstrip())]
                for end in ("", "\n" + depth + " pass"):
                    try:
                        compile(head + end, "<setup>", "exec")
                        return head + end
                    except (SyntaxError, ValueError):
                        pass
            return ""

        def main():
            job = json.loads(sys.stdin.buffer.read())
            confine(job)
            channel, remotes, kinds, places, kept, over = Channel(), {}, {}, {}, [], []
            setup, checks, names = (job["checks"].get(key) for key in ("setup", "checks", "names"))

            class Remote:
                """A function or an object of the program."""
                __slots__ = ("__number__",)

                def __call__(self, *arguments, **keywords):
                    return call({"object": self.__number__}, arguments, keywords)

                def __getattr__(self, name):
                    if name.startswith("__") and name != "__name__":
                        raise AttributeError(name)
                    return call({"builtin": "getattr"}, (self, name))

                def __iter__(self):
                    return iter(call({"builtin": "list"}, (self,)))

                def __instancecheck__(self, value):
                    return type(refered(value)) is Remote and call({"builtin": "isinstance"}, (value, self))

                def __subclasscheck__(self, value):
                    return type(refered(value)) is Remote and call({"builtin": "issubclass"}, (value, self))

                def __enter__(self):
                    return call({"builtin": "getattr"}, (self, "__enter__"))()

                def __exit__(self, kind, error, trace):
                    leave = call({"builtin": "getattr"}, (self, "__exit__"))
                    return leave(kind if known(kind) else kind and Exception, None, None)

            def known(value):
                return isinstance(value, type) and vars(builtins).get(value.__name__) is value

            def refered(value):
                """What stands for an object of the program, by its number; else the value."""
                if isinstance(value, BaseException):
                    return value.__dict__.get("__remote__", value)
                return find("object", places[id(value)]) if id(value) in places else value

            def refer(value):
                remote = refered(value)
                if type(remote) is Remote:
                    return {"object": remote.__number__}
                if known(value) or isinstance(value, types.BuiltinFunctionType) and (
                        vars(builtins).get(value.__name__) is value):
                    return {"builtin": value.__name__}
                raise TypeError("checks pass " + type(value).__name__)

            def find(tag, body):
                if tag == "exception":
                    return exception(body)
                if tag not in ("object", "generator", "coroutine") or type(body) is not int:
                    raise ValueError(tag)
                if body not in remotes:
                    remotes[body] = Remote()
                    object.__setattr__(remotes[body], "__number__", body)
                if tag == "object":
                    return remotes[body]
                return stand(body, (generate if tag == "generator" else wait)(remotes[body]))

            def stand(number, value):
                places[id(value)] = number
                # So that no other value has its id.
                kept.append(value)
                return value

            def generate(remote):
                sent, ready, taken = None, [], 0
                while True:
                    try:
                        if sent is not None:
                            ready = [remote.send(sent)]
                        elif not ready:
                            # A long one runs ahead, as every call costs.
                            count = 1 if taken < 16 else min(taken, 1024)
                            ready = call({"builtin": "take"}, (remote, count))[::-1]
                            taken += count
                    except StopIteration as end:
                        return end.value
                    sent = yield ready.pop()

            async def wait(remote):
                return call({"builtin": "await"}, (remote,))

            def exception(body):
                """A class of exceptions: Python's own, a module's, or a stand-in with the program's name and bases."""
                if type(body) is list:
                    number, name, bases = body
                    if number not in kinds:
                        kinds[number] = imitate(number, name, tuple(exception(base) for base in bases))
                    return kinds[number]
                if type(body) is dict:
                    module, name = body["module"], body["name"]
                    if module.split(".")[0] not in KNOWN:
                        raise ValueError(module)
                    kind = vars(sys.modules[module])[name] if module in sys.modules else Exception
                else:
                    kind = vars(builtins)[body]
                if not isinstance(kind, type) or not issubclass(kind, BaseException):
                    raise ValueError("no exception")
                return kind

            def imitate(number, name, bases):
                def start(self, *arguments, **keywords):
                    vars(self)["__remote__"] = call({"object": number}, arguments, keywords)

                def attribute(self, name):
                    if name.startswith("__"):
                        raise AttributeError(name)
                    return getattr(vars(self)["__remote__"], name)

                kind = type(name, bases, {
                    "__init__": start, "__getattr__": attribute, "__module__": "builtins",
                    "__str__": lambda self: str(vars(self)["__remote__"]),
                    "__repr__": lambda self: repr(vars(self)["__remote__"])})
                return stand(number, kind)

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
                        error = rebuilt(exception(raised), unpack(found["arguments"], find), found.get("object"))
                        vars(error)["outcome"] = verdict, detail
                except (EOFError, OSError):
                    raise ended("")
                except Exception:
                    raise ended("gave its checks an answer that is none")
                if raised is not None:
                    raise error
                return value

            def rebuilt(kind, arguments, number):
                """An exception of the program."""
                arguments = arguments if isinstance(arguments, tuple) else ()
                try:
                    error = kind(*arguments) if known(kind) else kind.__new__(kind)
                except Exception:
                    # Its arguments did not fit into an answer, or are others than those of its base.
                    error = Exception()
                if number is not None:
                    vars(error)["__remote__"] = find("object", number)
                error.args = arguments
                return error

            def ended(detail):
                over.append(Ended(detail))
                return over[0]

            def call(function, arguments, keywords={}):
                request = [function, [pack(argument, refer) for argument in arguments],
                           {"dict": [[name, pack(argument, refer)] for name, argument in keywords.items()]}]
                try:
                    channel.send(request)
                except OSError:
                    raise ended("")
                return answer([*arguments, *keywords.values()])

            def through(name):
                setattr(Remote, f"__{name}__", lambda *arguments: call({"builtin": name}, arguments))

            def compare(name):
                def forward(left, right):
                    return call({"builtin": name}, (left, right)) if type(right) is Remote else NotImplemented
                setattr(Remote, f"__{name}__", forward)

            def operate(name):
                def apply(name, *operands):
                    value = call({"builtin": f"__{name}__"}, operands)
                    if type(value) is Remote or len(operands) == 2 and {Remote}.issuperset(map(type, operands)):
                        return value
                    raise TypeError("an operator between an object of the program and data gives data")
                setattr(Remote, f"__{name}__", lambda *operands: apply(name, *operands))
                if name not in ("neg", "pos", "abs", "invert"):
                    setattr(Remote, f"__r{name}__", lambda right, left: apply(name, left, right))
                    setattr(Remote, f"__i{name}__", lambda left, right: apply("i" + name, left, right))

            def run(text, name):
                exec(compile(text, name, "exec", dont_inherit=True), namespace)

            namespace = {}
            outcome = "passed", ""
            try:
                for name in "len next str repr bool hash setattr delattr getitem setitem delitem contains".split():
                    through(name)
                for name in "eq ne lt le gt ge".split():
                    compare(name)
                for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift neg pos abs invert".split():
                    operate(name)
                answer()
                os.write(REPORT, b"begin\n")
                names = free(setup + "\n" + checks) if names is None else names
                channel.send(names)
                found = answer()
                namespace.update(found)
                run(runnable(setup), "<setup>")
                namespace.update(found)
                run(checks, "<program>")
                # Checks that catch everything have caught this, too.
                if over:
                    raise over[0]
            except Ended as error:
                outcome = "ended", str(error)
            except BaseException as error:
                outcome = error.__dict__.get("outcome") or (
                    "failed" if isinstance(error, AssertionError) else "error", describe(error, checks))
            report = {"verdict": outcome[0], "detail": outcome[1][:1000].encode("utf-8", "replace").decode()}
            os.write(REPORT, json.dumps(report).encode() + b"\n")
            while job["waits"]:
                signal.pause()

        main()
        """#
}
