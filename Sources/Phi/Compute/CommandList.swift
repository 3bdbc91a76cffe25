import CPhiKernels
import PhiFormat

/// A list of kernel operations with their arguments, recorded first and then executed by all threads in one parallel
/// region. A command starts when the items of all previous ones are done.
///
/// Memory: capacity x (one `phi_step` and 192 bytes of arguments), resident from first use.
package final class CommandList {
    private let threads: Int
    private let steps: Buffer<phi_step>  // [capacity]
    private let arguments: Buffer<UInt8>  // [capacity][192]
    private let shares: Buffer<UInt64>  // [threads][phi_share_stride(capacity)]
    private var count = 0
    private var argumentBytes = 0
    private var releases: [Release] = []

    /// Mapped bytes to release to the system after the first `end` commands.
    private struct Release {
        let end: Int
        let file: MappedFile
        let bytes: UnsafeRawBufferPointer
    }

    /// Creates an empty list for `threads` threads and up to `capacity` commands.
    package init(threads: Int, capacity: Int) throws(SessionError) {
        self.threads = threads
        steps = try Buffer(capacity)
        arguments = try Buffer(capacity * 192)
        shares = try Buffer(threads * phi_share_stride(capacity))
    }

    /// Whether nothing is recorded.
    package var isEmpty: Bool { count == 0 }

    /// Records all `items` of `operation`, to start after all previous commands or together with the last of them.
    func record<Arguments: BitwiseCopyable>(
        _ operation: phi_operation, items: Int, _ value: Arguments, concurrentWithPrevious: Bool = false
    ) {
        let size = roundUp(MemoryLayout<Arguments>.size, to: 16)
        precondition(count < steps.count && argumentBytes + size <= arguments.count, "the command list is full")
        let pointer = UnsafeMutableRawPointer(arguments.start + argumentBytes)
        pointer.storeBytes(of: value, as: Arguments.self)
        steps.start[count] = phi_step(
            operation: operation, args: pointer, items: items, waits: !concurrentWithPrevious, done: 0)
        count += 1
        argumentBytes += size
    }

    /// Records the release of the pages of `bytes` to the system after all commands so far.
    func recordRelease(of bytes: UnsafeRawBufferPointer, in file: MappedFile) {
        releases.append(Release(end: count, file: file, bytes: bytes))
    }

    /// Executes all commands and empties the list.
    package func execute() {
        var first = 0
        for release in releases {
            execute(first..<release.end)
            release.file.release(release.bytes)
            first = release.end
        }
        execute(first..<count)
        releases.removeAll(keepingCapacity: true)
        count = 0
        argumentBytes = 0
    }

    private func execute(_ range: Range<Int>) {
        phi_run(Int32(threads), steps.start + range.lowerBound, range.count, shares.start)
    }
}
