import CPhiKernels
import PhiKernelCases
import Testing

/// Every operation of the list, on every instruction set, against the reference: equal bits, and guard bytes untouched.
struct KernelCaseTests {
    /// What a probe sums depends on its registers, so that only its guard bytes can be compared.
    private static let probes: Set = ["probe_read", "probe_dot"]

    @Test func everyOperationHasCases() {
        #expect(Set(KernelCase.odd.map(\.operation)) == Set(operationNames))
        let timed = Set(KernelCase.phi1(WeightEncoding.all, tokens: [1]).map(\.operation))
        #expect(timed.isSubset(of: operationNames))
    }

    @Test(arguments: operationNames)
    func oddShapesEqualTheReference(operation: String) throws {
        for item in KernelCase.odd where item.operation == operation { try compare(item, threads: [1, 2, 3]) }
    }

    /// The very shapes that are timed, as far as plain C can do them in a few seconds.
    @Test(arguments: operationNames)
    func timedShapesEqualTheReference(operation: String) throws {
        for item in KernelCase.phi1(WeightEncoding.quantised, tokens: [1, 8]) where item.operation == operation {
            try compare(item, threads: [2])
        }
    }

    private func compare(_ item: KernelCase, threads: [Int]) throws {
        let plain = try #require(kernelOperation(item.operation, of: reference))
        let expected = item.prepare()
        expected.run(plain)
        for set in InstructionSet.all {
            let fast = try #require(kernelOperation(item.operation, of: set.kernels))
            for threads in threads {
                let found = item.prepare()
                found.run(fast, threads: threads)
                let isEqual = compared(found, item) == compared(expected, item)
                #expect(isEqual, "\(set.name) \(item), \(threads) threads")
            }
        }
    }

    private func compared(_ run: KernelRun, _ item: KernelCase) -> [[UInt8]] {
        guard Self.probes.contains(item.operation) else { return run.output }
        return run.output.map { Array($0.prefix(256) + $0.suffix(256)) }
    }
}
