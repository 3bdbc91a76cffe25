import CPhiKernels
import PhiFormat

/// A list of kernel operations with their arguments, recorded first and then executed by all threads in one parallel region,
/// so that between two commands threads wait for each other's work only.
///
/// Memory: capacity x (one `phi_step` and 192 bytes of arguments), taken when it is first touched.
package final class CommandList {
    private let threads: Int
    private let steps: Buffer<phi_step>  // [capacity]
    private let arguments: Buffer<UInt8>  // [capacity][192]
    private let shares: Buffer<UInt64>  // [threads][phi_share_stride(capacity)]
    private var count = 0
    private var argumentBytes = 0
    private var releases: [Release] = []

    /// Mapped bytes that are given back to the system when the first `end` commands have been executed.
    private struct Release {
        let end: Int
        let file: MappedFile
        let bytes: UnsafeRawBufferPointer
    }

    /// An empty list for `threads` threads and up to `capacity` commands.
    package init(threads: Int, capacity: Int) throws(SessionError) {
        self.threads = threads
        steps = try Buffer(capacity)
        arguments = try Buffer(capacity * 192)
        shares = try Buffer(threads * phi_share_stride(capacity))
    }

    /// Whether nothing is recorded.
    package var isEmpty: Bool { count == 0 }

    /// Records all `items` of `operation`. The command starts when all commands before it are done, or, if it is
    /// `concurrentWithPrevious`, together with the one before it.
    func record<Arguments: BitwiseCopyable>(
        _ operation: phi_operation, items: Int, _ value: Arguments, concurrentWithPrevious: Bool = false
    ) {
        let size = roundUp(MemoryLayout<Arguments>.size, to: 16)
        precondition(count < steps.count && argumentBytes + size <= arguments.count, "the command list is full")
        let place = UnsafeMutableRawPointer(arguments.start + argumentBytes)
        place.storeBytes(of: value, as: Arguments.self)
        steps.start[count] = phi_step(
            operation: operation, args: place, items: items, waits: !concurrentWithPrevious, done: 0)
        count += 1
        argumentBytes += size
    }

    /// Records that the pages of `bytes` are given back to the system when all commands so far have been executed.
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
