/// A bounds-checked buffer of integers, initially zero and freed with its owner.
///
/// Unlike an array, it needs no uniqueness check at each write.
struct ScratchMemory<Element: FixedWidthInteger>: ~Copyable {
    private let memory: UnsafeMutableBufferPointer<Element>

    init(count: Int) {
        memory = .allocate(capacity: count)
        memory.initialize(repeating: 0)
    }

    deinit {
        memory.deallocate()
    }

    subscript(index: Int) -> Element {
        @inline(__always) get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: memory.count))
            return memory[index]
        }
        @inline(__always) nonmutating set {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: memory.count))
            memory[index] = newValue
        }
    }
}
