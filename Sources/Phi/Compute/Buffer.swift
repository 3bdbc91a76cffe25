import PhiSystem

/// Page-aligned, zero-filled memory for `count` elements. Pages are not resident before their first use. Because the
/// size may come from a file, allocation throws ``SessionError`` when it fails.
package final class Buffer<Element: BitwiseCopyable> {
    package let count: Int
    package let start: UnsafeMutablePointer<Element>

    /// Allocates memory, `inHugePages` if the system has them: a GEMM writes a few columns of many rows, whose small
    /// pages would exceed the TLB. A huge page is resident as a whole from its first use.
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
