import CPhiKernels

/// An operation's arguments and buffers, ready to run.
package final class KernelRun {
    /// Items that the operation has.
    package let items: Int
    /// Bytes that a run must read and write.
    package let bytes: Int
    /// Multiplications and additions that a run makes; 0 for operations that are not about arithmetic.
    package let arithmetic: Double
    private let arguments: [UnsafeRawPointer]
    private let outputs: [() -> [UInt8]]
    private let release: () -> Void
    private var next = 0

    /// Takes arguments, one set for each copy of the data, and the buffers that they point to, which it keeps.
    init<Arguments>(
        _ arguments: [Arguments], items: Int, bytes: Int, arithmetic: Double = 0, outputs: [() -> [UInt8]],
        keeping: [AnyObject]
    ) {
        let memory = UnsafeMutableBufferPointer<Arguments>.allocate(capacity: arguments.count)
        _ = memory.initialize(from: arguments)
        self.items = items
        self.bytes = bytes
        self.arithmetic = arithmetic
        self.outputs = outputs
        self.arguments = memory.indices.compactMap { index in memory.baseAddress.map { UnsafeRawPointer($0 + index) } }
        release = {
            withExtendedLifetime(keeping) {
                memory.deinitialize()
                memory.deallocate()
            }
        }
    }

    deinit { release() }

    /// Does all items once.
    package func run(_ operation: phi_operation, threads: Int = 1) {
        phi_parallel(Int32(threads), items, operation, arguments[next])
        next = (next + 1) % arguments.count
    }

    /// Every byte of the buffers that the operation writes to, guards included.
    package var output: [[UInt8]] { outputs.map { $0() } }
}

/// The operation called `name` of an instruction set's kernels, or nil when there is none.
package func kernelOperation(_ name: String, of kernels: phi_kernels) -> phi_operation? {
    guard let index = operationNames.firstIndex(of: name) else { return nil }
    return withUnsafePointer(to: kernels) { phi_operation_at($0, index) }
}

/// The names in `operations.inc`.
package let operationNames: [String] = (0..<phi_operation_count()).compactMap { index in
    phi_operation_name(index).map { String(cString: $0) }
}

/// The plain definition, which every instruction set must equal. It is the last in the list.
package let reference: phi_kernels = {
    guard let kernels = phi_instruction_set(phi_instruction_set_count() - 1) else { fatalError("no reference kernels") }
    return kernels.pointee
}()

/// Does an operation of the reference, to make data for another.
func refer<Arguments: BitwiseCopyable>(_ name: String, _ arguments: inout Arguments, items: Int) {
    guard let operation = kernelOperation(name, of: reference) else { fatalError("no operation \(name)") }
    operation(&arguments, 0, items)
}

func roundUp(_ n: Int, _ unit: Int) -> Int { (n + unit - 1) / unit * unit }

/// How many copies of something of `bytes` fill `spread`, at least one.
func copies(_ bytes: Int, _ spread: Int) -> Int { max(1, (spread + bytes - 1) / max(1, bytes)) }
