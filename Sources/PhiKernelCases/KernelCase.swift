/// One thing that a kernel operation is asked to do: which operation, in which shape, on which made-up data.
///
/// The kernels' tests compare every instruction set with the reference on these, and `phi bench kernels` times them, so a
/// shape that is timed is one that the tests know how to check.
package struct KernelCase: Sendable, CustomStringConvertible {
    /// The operation's name in `operations.inc`.
    package let operation: String
    /// The shape, for people: `14336 x 2048, 8 tokens`.
    package let shape: String
    private let make: @Sendable (_ spread: Int) -> KernelRun

    init(_ operation: String, _ shape: String, make: @escaping @Sendable (_ spread: Int) -> KernelRun) {
        self.operation = operation
        self.shape = shape
        self.make = make
    }

    package var description: String { "\(operation) \(shape)" }

    /// Data and buffers, the same each time. With a `spread`, what is read most is there in as many copies as make so many
    /// bytes, and each run takes the next one, so that it comes from memory and not from a cache.
    package func prepare(spread: Int = 0) -> KernelRun { make(spread) }
}
