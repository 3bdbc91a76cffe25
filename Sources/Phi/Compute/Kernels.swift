import CPhiKernels
import PhiFormat
import PhiSystem

/// The kernels of one instruction set.
///
/// All instruction sets give the same bits; they differ in speed. The best one that this machine has is taken unless the
/// environment variable `PHI_ISA` names another.
public struct Kernels: Sendable {
    /// The name to force it by, such as `avx512`.
    public let name: String
    package let table: phi_kernels

    /// The instruction sets that this machine can run, best first; the last is `reference`, plain C.
    public static let available: [Kernels] = (0..<phi_instruction_set_count()).compactMap { index in
        guard phi_instruction_set_runs_here(index), let table = phi_instruction_set(index)?.pointee else { return nil }
        return Kernels(name: String(cString: table.name), table: table)
    }

    /// All names that this build knows, best first.
    public static let names: [String] = (0..<phi_instruction_set_count()).compactMap { index in
        phi_instruction_set(index).map { String(cString: $0.pointee.name) }
    }

    /// The kernels called `name`, or the best ones when it is nil; throws ``KernelsError`` when there are none of that
    /// name or this machine cannot run them.
    public static func named(_ name: String?) throws(KernelsError) -> Kernels {
        guard let found = available.first(where: { name == nil || $0.name == name }) else {
            throw KernelsError(name: name ?? "", isKnown: names.contains(name ?? ""))
        }
        return found
    }

    /// The kernels that the environment variable `PHI_ISA` names, or the best ones when it is not set.
    public static func fromEnvironment() throws(KernelsError) -> Kernels { try named(environment("PHI_ISA")) }

    /// The matrix product for weights in `encoding`.
    func matmul(_ encoding: TensorEncoding) -> phi_operation {
        withUnsafePointer(to: table) { phi_matmul_operation($0, encoding.rawValue) }
    }

    /// The operation that quantises or rounds weights to `encoding` and lays them out in tiles.
    package func encode(_ encoding: TensorEncoding) -> phi_operation {
        withUnsafePointer(to: table) { phi_encode_operation($0, encoding.rawValue) }
    }
}

/// An instruction set that this machine cannot run, or that does not exist.
public struct KernelsError: Error, Equatable, CustomStringConvertible {
    /// The name that was asked for.
    public let name: String
    /// Whether it exists and this machine lacks it.
    public let isKnown: Bool

    /// What is wrong and what there is.
    public var description: String {
        let fault = isKnown ? "is not supported by this machine" : "is not an instruction set"
        return "PHI_ISA: '\(name)' \(fault); there are \(Kernels.available.map(\.name).joined(separator: ", "))"
    }
}
