import PhiSystem

/// Page-aligned, zero-filled memory for `count` elements. Pages are not resident before their first use. Because the
/// size may come from a file, allocation throws ``SessionError`` when it fails.
package final class Buffer<Element: BitwiseCopyable> {
    package let count: Int
    package let start: UnsafeMutablePointer<Element>

    /// The size of pages, as far as the system follows. A huge page is resident as a whole from its first use.
    package enum Pages {
        /// As the system has it.
        case any
        /// A GEMM writes a few columns of many rows, whose small pages would exceed the TLB; what is filled at once takes faults for
        /// small ones.
        case huge
        /// A KV cache writes a few bytes at many places.
        case small
    }

    /// Allocates memory.
    package init(_ count: Int, pages: Pages = .any) throws(SessionError) {
        let bytes = max(1, count) * MemoryLayout<Element>.stride
        let pointer = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let pointer, pointer != MAP_FAILED else { throw .noMemory(bytes) }
        #if os(Linux)
            switch pages {
            case .any: break
            case .huge: madvise(pointer, bytes, MADV_HUGEPAGE)
            case .small: madvise(pointer, bytes, MADV_NOHUGEPAGE)
            }
        #endif
        self.count = count
        start = pointer.assumingMemoryBound(to: Element.self)
    }

    deinit { munmap(start, max(1, count) * MemoryLayout<Element>.stride) }
}
#if canImport(Darwin)
    private let MAP_ANONYMOUS = MAP_ANON
#endif
