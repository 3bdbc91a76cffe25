/// Uninitialised memory for numbers, checked at each access and freed with its owner.
///
/// An array would pay at each write for the question whether it is shared.
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
