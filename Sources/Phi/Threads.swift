import CPhiKernels

/// A number of threads that share operations between them. No result depends on the number.
struct Threads: Sendable {
    let count: Int

    /// Does all `items` of `operation`; returns when they are done.
    func run(_ operation: phi_operation, items: Int, _ arguments: UnsafeRawPointer) {
        phi_parallel(Int32(count), items, operation, arguments)
    }

    /// One for each core that this process may run on.
    static var defaultCount: Int { Int(phi_core_count()) }
}
