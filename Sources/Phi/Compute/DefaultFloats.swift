import CPhiKernels

/// Calls `body` with IEEE's default arithmetic: rounding to nearest, subnormal numbers, no traps. What the program has set for its
/// thread, for example by `fesetround`, then holds again; it would change the bits of results.
///
/// Not optimised, so that no arithmetic of `body` moves out of the call.
@inline(never)
@_optimize(none)
package func withDefaultFloats<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
) throws(Failure) -> Result {
    let before = phi_floats_begin()
    defer { phi_floats_end(before) }
    return try body()
}

/// What a call needs of its thread's stack.
package enum CallerStack {
    /// Bytes that some calls need; see ``isSmall``.
    package static let neededBytes = Int(PHI_STACK_BYTES)
    /// Whether the calling thread has less than ``neededBytes`` of its stack left. Steps then run on the engine's other threads; what
    /// recurses, such as compiling a ``Constraint``, has none.
    package static var isSmall: Bool { phi_stack_left() < neededBytes }
}
