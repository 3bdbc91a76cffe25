/// A buffer with guard bytes on both sides: whatever an operation writes outside its own part is found.
package final class Guarded<Element: BitwiseCopyable> {
    private static var guardBytes: Int { 256 }
    private let raw: UnsafeMutableRawBufferPointer
    /// Elements.
    package let count: Int

    /// Room for so many elements, every byte of it and of the guards `fill`.
    package init(_ count: Int, fill: UInt8 = 0xa5) {
        self.count = count
        raw = .allocate(byteCount: count * MemoryLayout<Element>.stride + 2 * Self.guardBytes, alignment: 64)
        raw.initializeMemory(as: UInt8.self, repeating: fill)
    }

    /// A copy of these elements.
    package convenience init(_ elements: [Element]) {
        self.init(elements.count)
        for (i, element) in elements.enumerated() { pointer[i] = element }
    }

    /// A copy of another.
    package convenience init(copying other: Guarded<Element>) {
        self.init(other.count)
        pointer.update(from: other.pointer, count: other.count)
    }

    deinit { raw.deallocate() }

    /// The first element.
    package var pointer: UnsafeMutablePointer<Element> {
        guard let base = raw.baseAddress else { fatalError("allocation failed") }
        return (base + Self.guardBytes).assumingMemoryBound(to: Element.self)
    }

    /// Every byte, guards included.
    package var bytes: [UInt8] { Array(raw) }
    /// The elements alone.
    package var elements: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}
