#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Zeroed memory for `count` elements, page-aligned, freed with its owner. Pages that are never touched take no memory.
/// There may be less of it than a file asks for: making one throws ``SessionError``.
package final class Buffer<Element: BitwiseCopyable> {
    package let count: Int
    package let start: UnsafeMutablePointer<Element>

    /// In huge pages, where the system has them, for what is written all over the place: a product writes a few rows of each of many
    /// tokens, whose pages would be more than a core remembers. One that is touched takes its memory whole.
    package init(_ count: Int, inHugePages: Bool = false) throws(SessionError) {
        let bytes = max(1, count) * MemoryLayout<Element>.stride
        let pointer = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let pointer, pointer != MAP_FAILED else { throw .noMemory(bytes) }
        #if os(Linux)
            if inHugePages { madvise(pointer, bytes, MADV_HUGEPAGE) }
        #endif
        self.count = count
        start = pointer.assumingMemoryBound(to: Element.self)
    }

    deinit { munmap(start, max(1, count) * MemoryLayout<Element>.stride) }
}
#if canImport(Darwin)
    private let MAP_ANONYMOUS = MAP_ANON
#endif
