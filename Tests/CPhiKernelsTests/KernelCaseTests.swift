import CPhiKernelCases
import CPhiKernels
import Testing

/// A case of an operation of `operations.inc`.
struct KernelCase: CustomTestStringConvertible {
    let operation: Int
    let shape: phi_case_shape

    var name: String { phi_operation_name(operation).map { String(cString: $0) } ?? "" }

    var testDescription: String {
        var shape = shape
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 80) { text in
            phi_case_describe(operation, &shape, text.baseAddress, text.count)
            return text.baseAddress.map { name + " " + String(cString: $0) } ?? name
        }
    }

    /// The cases of all operations.
    static let checked: [KernelCase] = (0..<phi_operation_count()).flatMap { operation in
        (0..<phi_case_count(operation)).map { KernelCase(operation: operation, shape: phi_case_at(operation, $0)) }
    }

    /// The cases that `phi bench kernels` times for so many tokens.
    static func timed(tokens: Int) -> [KernelCase] {
        (0..<phi_operation_count()).flatMap { operation in
            (0..<phi_timed_case_count(operation, tokens)).map {
                KernelCase(operation: operation, shape: phi_timed_case_at(operation, tokens, $0))
            }
        }
    }
}

/// Every operation, on every instruction set of this machine, against the reference: equal bytes, and guard bytes untouched.
/// `make check-emulated` runs the same cases on other machines.
struct KernelCaseTests {
    @Test func everyOperationHasCases() {
        for operation in 0..<phi_operation_count() { #expect(phi_case_count(operation) > 1) }
    }

    @Test(arguments: KernelCase.checked)
    func equalsTheReference(item: KernelCase) {
        check(item, nil)
        check(item) { phi_parallel(2, $0, $1, $2) }
        check(item) { phi_parallel(3, $0, $1, $2) }
    }

    /// As far as plain C can do them in a few seconds.
    @Test(arguments: KernelCase.timed(tokens: 1) + KernelCase.timed(tokens: 8))
    func timedShapesEqualTheReference(item: KernelCase) {
        check(item) { phi_parallel(2, $0, $1, $2) }
    }

    private func check(_ item: KernelCase, _ execute: phi_check_execute?) {
        final class Lines { var all: [String] = [] }
        let lines = Lines()
        let report: phi_check_report = { context, line in
            guard let context, let line else { return }
            Unmanaged<Lines>.fromOpaque(context).takeUnretainedValue().all.append(String(cString: line))
        }
        var options = phi_check_options(
            seed: 1, sets: phi_check_sets(), execute: execute, report: report,
            context: Unmanaged.passUnretained(lines).toOpaque())
        var shape = item.shape
        var results = [phi_check_result](repeating: phi_check_result(), count: phi_instruction_set_count())
        _ = phi_check(item.operation, &shape, &options, &results)
        #expect(lines.all == [])
        for (index, result) in results.enumerated() {
            #expect(result.failed == 0 && phi_instruction_set_runs_here(index) == (result.passed == 2))
        }
    }
}
