import PhiFormat

/// An interpreter for the pickles that `torch.save` writes of a state_dict: protocol 2, or 4 when asked, of
/// https://github.com/python/cpython/blob/main/Lib/pickletools.py.
///
/// Python's own interpreter runs any function that a pickle names. This one has an explicit stack, knows only the opcodes
/// and globals that a state_dict needs, and refuses all others by name. Its memory is bounded by ``objectLimit``.
struct Unpickler {
    /// The most values on the stack, in the memo, and in containers and shapes, each; a tensor takes about ten.
    static let objectLimit = 1 << 18
    /// The longest pickle that is read.
    static let byteLimit = 32 << 20

    private var cursor: ByteCursor
    private let file: String
    private var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    private var heap = PickleHeap()
    /// The types of all storages met, by their keys.
    private(set) var storages: [String: ElementType] = [:]
    /// The texts that were put into lists.
    private(set) var listedTexts: [String] = []
    /// Bytes interpreted so far.
    var position: Int { cursor.position }

    /// The most dictionaries in one another whose tensors are found, and the longest name.
    private static let depthLimit = 8
    private static let nameLimit = 4096

    /// The tensors of the state_dict that `bytes` pickle, see ``tensors(of:)``. Throws ``FormatError`` about `file`.
    static func tensors(
        from bytes: [UInt8], of file: String
    ) throws(FormatError) -> [(name: String, tensor: PickledTensor)] {
        var unpickler = Unpickler(bytes, file)
        let root = try unpickler.next()
        guard unpickler.cursor.isAtEnd else { throw unpickler.refused("goes on after its end") }
        return try unpickler.tensors(of: root)
    }

    /// The tensors of a state_dict, in its order. Those of dictionaries in it, as trainers save them, have the keys on the way in
    /// their names: `{"model": {"lm_head.bias": tensor}, "step": 3}` holds `model/lm_head.bias`. Values of other kinds are passed
    /// over.
    func tensors(of root: PickleValue) throws(FormatError) -> [(name: String, tensor: PickledTensor)] {
        guard case .dictionary(let index) = root else { throw refused("holds no state_dict") }
        var found = Found(visited: [index])
        try collect(from: index, prefix: "", depth: 1, into: &found)
        return found.tensors
    }

    /// Tensors found in dictionaries.
    private struct Found {
        /// The dictionaries seen: one may stand in many places, and in itself.
        var visited: Set<Int>
        var tensors: [(name: String, tensor: PickledTensor)] = []
        /// The lengths of all names: many short keys may stand below a long prefix.
        var nameBytes = 0
    }

    private func collect(
        from dictionary: Int, prefix: String, depth: Int, into found: inout Found
    ) throws(FormatError) {
        for (key, value) in heap.dictionaries[dictionary] {
            let part: String
            switch key {
            case .text(let text): part = text
            case .integer(let number): part = String(number)
            default: continue
            }
            switch value {
            case .tensor, .dictionary: break
            default: continue
            }
            let length = prefix.utf8.count + part.utf8.count
            found.nameBytes += length
            guard length < Self.nameLimit, found.nameBytes <= Self.byteLimit else {
                throw refused("has names longer than any state_dict's, such as \(part.shown)")
            }
            if case .tensor(let tensor) = value {
                found.tensors.append((prefix + part, tensor))
            } else if case .dictionary(let inner) = value, depth < Self.depthLimit, found.visited.insert(inner).inserted
            {
                try collect(from: inner, prefix: prefix + part + "/", depth: depth + 1, into: &found)
            }
        }
    }

    init(_ bytes: [UInt8], _ file: String) {
        cursor = ByteCursor(bytes, end: FormatError(file, "data.pkl breaks off"))
        self.file = file
    }

    private func refused(_ fault: String) -> FormatError { FormatError(file, "data.pkl \(fault)") }

    /// Interprets the next of the pickles.
    mutating func next() throws(FormatError) -> PickleValue {
        (stack, marks, memo) = ([], [], [:])
        while true {
            let place = cursor.position
            let code = try cursor.integer(UInt8.self)
            guard let opcode = Opcode(rawValue: code) else {
                throw refused("has opcode 0x\(String(code, radix: 16)) at byte \(place), which no state_dict needs")
            }
            if opcode == .stop { break }
            try step(opcode)
            guard stack.count <= Self.objectLimit, memo.count <= Self.objectLimit, heap.count <= Self.objectLimit,
                marks.count <= Self.objectLimit, listedTexts.count <= Self.objectLimit
            else { throw refused("is larger than any state_dict") }
        }
        guard stack.count == 1, marks.isEmpty else { throw refused("is damaged: it ends with \(stack.count) values") }
        return stack[0]
    }

    private mutating func step(_ opcode: Opcode) throws(FormatError) {
        switch opcode {
        case .proto: _ = try cursor.take(1)
        case .frame: _ = try cursor.take(8)
        case .stop: break
        case .mark: marks.append(stack.count)
        case .none, .newTrue, .newFalse, .emptyList, .emptySet: stack.append(.opaque)
        case .float:
            _ = try cursor.take(8)
            stack.append(.opaque)
        case .shortBytes, .shortString:
            _ = try cursor.take(Int(try cursor.integer(UInt8.self)))
            stack.append(.opaque)
        case .bytes:
            _ = try cursor.take(Int(try cursor.integer(UInt32.self)))
            stack.append(.opaque)
        case .append:
            list([try pop()])
            _ = try top()
        case .appends, .addItems:
            list(try popToMark())
            _ = try top()
        case .int: stack.append(.integer(Int(try cursor.integer(Int32.self))))
        case .int1: stack.append(.integer(Int(try cursor.integer(UInt8.self))))
        case .int2: stack.append(.integer(Int(try cursor.integer(UInt16.self))))
        case .long1: stack.append(.integer(try longInteger()))
        case .unicode: stack.append(.text(try text(Int(try cursor.integer(UInt32.self)))))
        case .shortUnicode: stack.append(.text(try text(Int(try cursor.integer(UInt8.self)))))
        case .global:
            let (module, name) = (try cursor.line(), try cursor.line())
            try pushGlobal(String(decoding: module, as: UTF8.self), String(decoding: name, as: UTF8.self))
        case .stackGlobal:
            guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
                throw refused("names a global by something that is not text")
            }
            try pushGlobal(module, name)
        case .emptyTuple: stack.append(heap.add(tuple: []))
        case .tuple: stack.append(heap.add(tuple: try popToMark()))
        case .tuple1: stack.append(heap.add(tuple: try pop(1)))
        case .tuple2: stack.append(heap.add(tuple: try pop(2)))
        case .tuple3: stack.append(heap.add(tuple: try pop(3)))
        case .emptyDictionary: stack.append(heap.addDictionary())
        case .setItem: try setItems(try pop(2))
        case .setItems: try setItems(try popToMark())
        case .put: memo[Int(try cursor.integer(UInt8.self))] = try top()
        case .longPut: memo[Int(try cursor.integer(UInt32.self))] = try top()
        case .memoize: memo[memo.count] = try top()
        case .get: try recall(Int(try cursor.integer(UInt8.self)))
        case .longGet: try recall(Int(try cursor.integer(UInt32.self)))
        case .newObject:
            let arguments = try pop()
            stack.append(try reduce(try pop(), arguments))
        case .persistentID:
            let storage = try storage(try pop())
            storages[storage.key] = storage.elementType
            stack.append(.storage(storage))
        case .reduce:
            let arguments = try pop()
            stack.append(try reduce(try pop(), arguments))
        case .build:
            // Attributes of the OrderedDict: `_metadata`, the versions of torch's modules.
            _ = try pop()
            switch try top() {
            case .dictionary, .opaque: break
            default: throw refused("sets the state of something other than a dict")
            }
        }
    }

    private mutating func longInteger() throws(FormatError) -> Int {
        let bytes = try cursor.take(Int(try cursor.integer(UInt8.self)))
        guard bytes.count <= 8 else { throw refused("has an integer of \(bytes.count) bytes") }
        var value = bytes.last.map { $0 >= 128 ? -1 : 0 } ?? 0
        for byte in bytes.reversed() { value = value << 8 | Int(byte) }
        return value
    }

    private mutating func text(_ length: Int) throws(FormatError) -> String {
        guard let text = String(strictUTF8: try cursor.take(length)) else {
            throw refused("has text that is not UTF-8")
        }
        return text
    }

    private mutating func pushGlobal(_ module: String, _ name: String) throws(FormatError) {
        guard let global = PickleGlobal(module: module, name: name) else {
            throw refused(
                "wants to call \("\(module).\(name)".shown); refused: save the state_dict alone, with torch.save")
        }
        stack.append(.global(global))
    }

    private mutating func recall(_ index: Int) throws(FormatError) {
        guard let value = memo[index] else { throw refused("is damaged: it recalls what it has not kept") }
        stack.append(value)
    }

    // A value below the last mark belongs to a container that is still being filled.
    private mutating func pop(_ count: Int) throws(FormatError) -> [PickleValue] {
        guard stack.count - (marks.last ?? 0) >= count else { throw refused("is damaged: its stack is empty") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func pop() throws(FormatError) -> PickleValue { try pop(1)[0] }

    private func top() throws(FormatError) -> PickleValue {
        guard let value = stack.last, stack.count > marks.last ?? 0 else {
            throw refused("is damaged: its stack is empty")
        }
        return value
    }

    private mutating func popToMark() throws(FormatError) -> [PickleValue] {
        guard let mark = marks.popLast() else { throw refused("is damaged: it has no mark to go back to") }
        defer { stack.removeLast(stack.count - mark) }
        return Array(stack[mark...])
    }

    private mutating func list(_ values: [PickleValue]) {
        for case .text(let text) in values { listedTexts.append(text) }
    }

    private mutating func setItems(_ items: [PickleValue]) throws(FormatError) {
        guard case .dictionary(let dictionary) = try top(), items.count % 2 == 0 else {
            throw refused("sets an item of something other than a dict")
        }
        for index in stride(from: 0, to: items.count, by: 2) {
            heap.addItem(key: items[index], value: items[index + 1], to: dictionary)
        }
    }

    // MARK: torch's globals

    /// `('storage', torch.FloatStorage, '0', 'cpu', 24)`, and None behind it before torch 1.6.
    private func storage(_ value: PickleValue) throws(FormatError) -> PickledStorage {
        let parts = if case .tuple(let index) = value { heap.tuples[index] } else { [PickleValue]() }
        guard parts.count == 5 || parts.count == 6, case .text("storage") = parts[0],
            case .global(.storage(let elementType)) = parts[1], case .text(let key) = parts[2],
            case .integer(let count) = parts[4]
        else { throw refused("has a persistent id that is not a torch storage") }
        return PickledStorage(key: key, elementType: elementType, count: count)
    }

    private mutating func reduce(_ callee: PickleValue, _ arguments: PickleValue) throws(FormatError) -> PickleValue {
        guard case .global(let global) = callee, case .tuple(let index) = arguments else {
            throw refused("calls something that has no name")
        }
        return try reduce(global, heap.tuples[index])
    }

    private mutating func reduce(_ global: PickleGlobal, _ arguments: [PickleValue]) throws(FormatError) -> PickleValue
    {
        switch global {
        case .opaque: return .opaque
        case .orderedDict where arguments.isEmpty:
            return heap.addDictionary()
        case .rebuildTensor where arguments.count >= 4:
            // storage, offset, size, stride, requires_grad, backward_hooks
            guard case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1] else { break }
            guard let shape = integers(arguments[2]), let strides = integers(arguments[3]) else { break }
            heap.count(shape.count + strides.count)
            return .tensor(PickledTensor(storage: storage, offset: offset, shape: shape, strides: strides))
        case .rebuildParameter where !arguments.isEmpty:
            // data, requires_grad, backward_hooks, and the attributes
            if case .tensor = arguments[0] { return arguments[0] }
        case .rebuildFromType where arguments.count >= 3:
            // function, type, its arguments, attributes
            guard case .tuple(let index) = arguments[2], case .global(let function) = arguments[0] else { break }
            switch function {
            case .rebuildTensor, .rebuildParameter: return try reduce(function, heap.tuples[index])
            default: break
            }
        default: break
        }
        throw refused("calls torch with arguments that no state_dict has")
    }

    /// A shape or strides; nil for more dimensions than torch allows, since many tensors may share one large tuple.
    private func integers(_ value: PickleValue) -> [Int]? {
        guard case .tuple(let index) = value, heap.tuples[index].count <= 64 else { return nil }
        var numbers: [Int] = []
        for item in heap.tuples[index] {
            guard case .integer(let number) = item else { return nil }
            numbers.append(number)
        }
        return numbers
    }
}

/// The opcodes that are known, by pickletools' values.
private enum Opcode: UInt8 {
    case mark = 0x28, emptyTuple = 0x29, stop = 0x2E, bytes = 0x42, shortBytes = 0x43, float = 0x47
    case int = 0x4A, int1 = 0x4B, int2 = 0x4D, none = 0x4E, persistentID = 0x51, reduce = 0x52, shortString = 0x55
    case unicode = 0x58, emptyList = 0x5D, append = 0x61
    case build = 0x62, global = 0x63, appends = 0x65, get = 0x68, longGet = 0x6A, put = 0x71, longPut = 0x72
    case setItem = 0x73, tuple = 0x74, setItems = 0x75, emptyDictionary = 0x7D
    case proto = 0x80, newObject = 0x81, tuple1 = 0x85, tuple2 = 0x86, tuple3 = 0x87, newTrue = 0x88, newFalse = 0x89
    case long1 = 0x8A, shortUnicode = 0x8C, emptySet = 0x8F, addItems = 0x90, stackGlobal = 0x93, memoize = 0x94
    case frame = 0x95
}
