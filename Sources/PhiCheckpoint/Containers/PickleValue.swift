/// A value of a state_dict's pickle. Containers of values are indices into a ``PickleHeap``, so a pickle can neither build a
/// cycle nor a nest whose release recurses.
enum PickleValue {
    /// None, a bool, a fraction, a list, a set, bytes, or an object of torch's that holds no tensor's place; nothing depends on
    /// which, and what is put into it is dropped.
    case opaque
    case integer(Int)
    case text(String)
    case global(PickleGlobal)
    case tuple(Int)
    case dictionary(Int)
    indirect case storage(PickledStorage)
    indirect case tensor(PickledTensor)
}

/// A global that a state_dict's pickle, or a trainer's around it, may name: those of torch's `weights_only`. Nothing is imported
/// and nothing is called.
enum PickleGlobal {
    case orderedDict
    case rebuildTensor
    case rebuildParameter
    /// A tensor with attributes, by another function.
    case rebuildFromType
    case storage(ElementType)
    /// Makes an object that is passed over.
    case opaque

    private static let otherStorages: Set<String> = [
        "LongStorage", "IntStorage", "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage",
        "ComplexFloatStorage", "ComplexDoubleStorage",
    ]
    private static let opaques: Set<String> = [
        "collections.Counter", "builtins.set", "builtins.bytearray", "builtins.complex", "_codecs.encode",
        "__builtin__.set", "__builtin__.bytearray", "__builtin__.complex", "torch.Size", "torch.device", "torch.Tensor",
        "torch.nn.parameter.Parameter", "torch.serialization._get_layout", "torch.float64", "torch.float32",
        "torch.float16", "torch.bfloat16", "torch.int64", "torch.int32", "torch.int16", "torch.int8", "torch.uint8",
        "torch.bool",
    ]

    /// Nil for every name that is not in this list.
    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDict
        case ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state"):
            self = .rebuildParameter
        case ("torch._tensor", "_rebuild_from_type_v2"): self = .rebuildFromType
        case ("torch", "DoubleStorage"): self = .storage(.float64)
        case ("torch", "FloatStorage"): self = .storage(.float32)
        case ("torch", "HalfStorage"): self = .storage(.float16)
        case ("torch", "BFloat16Storage"): self = .storage(.bfloat16)
        case ("torch", _) where Self.otherStorages.contains(name): self = .storage(.other(name))
        default:
            guard Self.opaques.contains("\(module).\(name)") else { return nil }
            self = .opaque
        }
    }
}

/// The bytes of one or more tensors: the archive's entry `data/KEY`.
struct PickledStorage {
    let key: String
    let elementType: ElementType
    let count: Int
}

/// A view of a storage. Numbers are as the pickle has them, unchecked.
struct PickledTensor {
    let storage: PickledStorage
    let offset: Int
    let shape: [Int]
    let strides: [Int]
}

/// The containers that a pickle has made.
struct PickleHeap {
    private(set) var tuples: [[PickleValue]] = []
    private(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []

    /// Containers, dictionary items and dimensions of tensors in all.
    private(set) var count = 0

    /// Counts numbers that are kept elsewhere.
    mutating func count(_ numbers: Int) { count += numbers }

    mutating func add(tuple: [PickleValue]) -> PickleValue {
        count += 1
        tuples.append(tuple)
        return .tuple(tuples.count - 1)
    }

    mutating func addDictionary() -> PickleValue {
        count += 1
        dictionaries.append([])
        return .dictionary(dictionaries.count - 1)
    }

    mutating func addItem(key: PickleValue, value: PickleValue, to dictionary: Int) {
        count += 1
        dictionaries[dictionary].append((key, value))
    }
}
