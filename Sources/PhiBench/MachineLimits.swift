/// What this machine can do at most with a number of threads: the two ceilings under decode and prefill.
package struct MachineLimits: Sendable {
    /// Bytes a second that the threads can read together, from the very weights that a model reads.
    package let readRate: Double
    /// Integer operations a second, two for a product and its sum, of the vector registers' dot product. AMX can do several times as
    /// many.
    package let integerRate: Double
}
