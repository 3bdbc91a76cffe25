import CPhiKernels
import CPhiKernelsCheck
import Testing

/// The check that also runs on emulated CPUs (`make check-emulated`), here on the instruction sets of this machine.
struct InstructionSetTests {
    /// An operation of `operations.inc`.
    struct Operation: CustomTestStringConvertible {
        let index: Int
        let testDescription: String

        static let all = (0..<phi_check_operation_count()).map { index in
            Operation(index: index, testDescription: String(cString: phi_check_operation_name(index)))
        }
    }

    @Test(arguments: Operation.all)
    func equalsTheReference(operation: Operation) {
        var results = [phi_check_result](repeating: phi_check_result(), count: phi_instruction_set_count())
        final class Lines { var all: [String] = [] }
        let lines = Lines()
        let report: phi_check_report = { context, line in
            guard let context, let line else { return }
            Unmanaged<Lines>.fromOpaque(context).takeUnretainedValue().all.append(String(cString: line))
        }
        _ = phi_check(
            operation.index, phi_check_sets(), 1, &results, report, Unmanaged.passUnretained(lines).toOpaque())
        #expect(lines.all == [])
        for (index, result) in results.enumerated() {
            #expect(result.failed == 0)
            #expect(phi_instruction_set_runs_here(index) == (result.passed > 0))
        }
    }
}
