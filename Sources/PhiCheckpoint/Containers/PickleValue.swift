/// A value of a state_dict's pickle. Containers of values are indices into a ``PickleHeap``, so a pickle can neither build a
/// cycle nor a nest whose release recurses.
enum PickleValue {
    /// None, True or False; no tensor depends on which.
    case constant
    case integer(Int)
    case text(String)
    case global(PickleGlobal)
    case tuple(Int)
    case dictionary(Int)
    indirect case storage(PickledStorage)
    indirect case tensor(PickledTensor)
}

/// A global that a state_dict's pickle may name. Nothing is imported and nothing is called.
enum PickleGlobal {
    case orderedDict
    case rebuildTensor
    case rebuildParameter
    case storage(ElementType)

    private static let otherStorages: Set<String> = [
        "DoubleStorage", "LongStorage", "IntStorage", "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage",
        "ComplexFloatStorage", "ComplexDoubleStorage",
    ]

    /// Nil for every name that is not in this list.
    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDict
        case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
        case ("torch", "FloatStorage"): self = .storage(.float32)
        case ("torch", "HalfStorage"): self = .storage(.float16)
        case ("torch", "BFloat16Storage"): self = .storage(.bfloat16)
        case ("torch", _) where Self.otherStorages.contains(name): self = .storage(.other(name))
        default: return nil
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

    /// Containers and dictionary items in all.
    private(set) var count = 0

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
