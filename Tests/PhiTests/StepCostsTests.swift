import Phi
import Testing

/// What is known of steps' durations, by durations that the tests make up.
struct StepCostsTests {
    /// A machine whose step of n rows takes 20 ms times `ratio(n)`.
    private func costs(_ steps: Int, rows: [Int], ratio: (Int) -> Double) -> StepCosts {
        var costs = StepCosts()
        for step in 0..<steps {
            costs.learn(rows: 1, isPlain: true, seconds: 0.02)
            let rows = rows[step % rows.count]
            costs.learn(rows: rows, isPlain: false, seconds: 0.02 * ratio(rows))
        }
        return costs
    }

    @Test
    func assumptionsAreLowAndGrow() {
        let costs = StepCosts()
        #expect(costs.unit == nil && costs.ratio(1) == 1)
        for rows in 2...StepCosts.mostRows { #expect(costs.ratio(rows) > costs.ratio(rows - 1)) }
        #expect(costs.ratio(8) < 1.71)
    }

    @Test
    func measurementsReplaceAssumptions() {
        let costs = costs(60, rows: [2, 4, 8]) { [2: 1.25, 4: 1.6, 8: 2.1][$0] ?? 0 }
        #expect(abs((costs.unit ?? 0) - 0.02) < 1e-9)
        for (rows, ratio) in [(2, 1.25), (4, 1.6), (8, 2.1)] {
            #expect(abs(costs.ratio(rows) - ratio) < 0.06, "\(rows)")
        }
        // Neighbours are estimated from what is known.
        #expect((1.6...2.1).contains(costs.ratio(6)))
    }

    @Test
    func oneStepTeachesMuch() {
        let costs = costs(1, rows: [4]) { _ in 3 }
        #expect(costs.ratio(4) > 2)
        #expect(costs.ratio(5) > 1.5)
    }

    @Test
    func anInterruptedStepTeachesLittle() {
        var costs = costs(60, rows: [4]) { _ in 1.6 }
        costs.learn(rows: 4, isPlain: false, seconds: 10)
        costs.learn(rows: 1, isPlain: true, seconds: 10)
        #expect(costs.ratio(4) < 2.1)
        #expect((costs.unit ?? 1) < 0.025)
    }

    @Test
    func whatIsLongPastIsTriedAgain() {
        var costs = costs(60, rows: [4]) { _ in 5 }
        #expect(costs.ratio(4) > 4)
        for _ in 0..<8000 { costs.learn(rows: 1, isPlain: true, seconds: 0.02) }
        #expect(costs.ratio(4) < 1.4)
    }

    /// With several sequences a plain step has several rows; what drafts add to those is measured all the same.
    @Test
    func rowsOfSeveralSequencesAreComparedWithEachOther() {
        var costs = StepCosts()
        for _ in 0..<100 {
            costs.learn(rows: 3, isPlain: true, seconds: 0.03)
            costs.learn(rows: 6, isPlain: false, seconds: 0.045)
        }
        #expect(abs(costs.ratio(6) / costs.ratio(3) - 1.5) < 0.1)
    }
}
