import Phi

/// Zeroed memory for floats, aligned to 64 bytes as tiles are.
package final class FloatBuffer {
    package let count: Int
    /// The first element; there is one even if the count is zero.
    package let base: UnsafeMutablePointer<Float>
    /// The memory of a large buffer, which goes back to the system with it, and not to the heap's free lists.
    private let pages: Buffer<Float>?

    package init(_ count: Int) {
        self.count = count
        pages = count >= 1 << 20 ? try? Buffer<Float>(count, pages: .huge) : nil
        base =
            pages?.start
            ?? UnsafeMutableRawPointer.allocate(byteCount: 4 * max(1, count), alignment: 64).assumingMemoryBound(
                to: Float.self)
        if pages == nil { base.initialize(repeating: 0, count: max(1, count)) }
    }

    deinit { if pages == nil { base.deallocate() } }

    package func elements(_ first: Int, _ count: Int) -> UnsafeMutableBufferPointer<Float> {
        precondition(first >= 0 && count >= 0 && first + count <= self.count)
        return UnsafeMutableBufferPointer(start: base + first, count: count)
    }

    /// Its memory for elements of another type.
    func bound<Element: BitwiseCopyable>(to type: Element.Type) -> UnsafeMutablePointer<Element> {
        UnsafeMutableRawPointer(base).bindMemory(to: type, capacity: count * 4 / MemoryLayout<Element>.stride)
    }

    func copy(_ source: FloatBuffer, _ first: Int, to: Int, count: Int) {
        _ = elements(to, count).update(fromContentsOf: source.elements(first, count))
    }
}
