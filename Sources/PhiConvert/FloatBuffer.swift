import Phi

/// Zeroed memory for floats, aligned to 64 bytes as tiles are, or a view of some elements of another buffer.
package final class FloatBuffer {
    private let memory: UnsafeMutableBufferPointer<Float>
    /// The owner of the memory, if it is not this buffer.
    private let owner: AnyObject?

    package init(_ count: Int) {
        // Large memory is mapped: it goes back to the system with the buffer, and not to the heap's free lists.
        let pages = count >= 1 << 20 ? try? Buffer<Float>(count) : nil
        base =
            pages?.start
            ?? UnsafeMutableRawPointer.allocate(byteCount: 4 * max(1, count), alignment: 64).assumingMemoryBound(
                to: Float.self)
        memory = UnsafeMutableBufferPointer(start: base, count: count)
        if pages == nil { memory.initialize(repeating: 0) }
        owner = pages
    }

    /// A view of `count` elements of `owner` from `first` on, at least one.
    init(_ owner: FloatBuffer, _ first: Int, _ count: Int) {
        precondition(count > 0)
        memory = owner.elements(first, count)
        base = owner.base + first
        self.owner = owner
    }

    deinit { if owner == nil { base.deallocate() } }

    package var count: Int { memory.count }

    /// The first element; there is one even if the count is zero.
    package let base: UnsafeMutablePointer<Float>

    package func elements(_ first: Int, _ count: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: memory[first..<first + count])
    }

    func copy(_ source: FloatBuffer, _ first: Int, to: Int, count: Int) {
        _ = elements(to, count).update(fromContentsOf: source.elements(first, count))
    }
}
