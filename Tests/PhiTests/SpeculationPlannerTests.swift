import Phi
import Testing

/// The choice of lengths, by durations that the tests make up.
struct SpeculationPlannerTests {
    /// Durations of steps over one of a single row: as today, as cheap as can be, and those of a processor bound by arithmetic.
    static let machines: [[Double]] = [
        [1, 1.25, 1.45, 1.6, 1.75, 1.9, 2, 2.1], [1, 1.04, 1.08, 1.12, 1.16, 1.2, 1.24, 1.28],
        [1, 2, 3, 4, 5, 6, 7, 8],
    ]

    private struct Outcome {
        var tokens = 0
        var steps = 0
        var drafted = 0
        var time = 0.0
        /// Tokens for the time of a step of one row.
        var rate: Double { Double(tokens) / time }
    }

    /// Decodes at least `count` tokens on a machine; drafts have the expected probabilities `expected`, and `accepted` says how many
    /// tokens of one of a length are chosen.
    private func decode(
        _ count: Int, _ planner: SpeculationPlanner = SpeculationPlanner(.automatic), on machine: [Double],
        expected: [Double], accepted: (Int) -> Int
    ) -> Outcome {
        var outcome = Outcome()
        while outcome.tokens < count {
            let length = planner.mayDraft(rows: 1) ? planner.lengths([expected])[0] : 0
            let time = machine[length]
            planner.learn(rows: 1 + length, isPlain: length == 0, seconds: 0.02 * time)
            planner.learn(sequences: 1, drafted: length, seconds: 0.02 * time)
            let chosen = length == 0 ? 0 : accepted(length)
            for _ in 0..<chosen { planner.accept() }
            outcome.tokens += 1 + chosen
            outcome.steps += 1
            outcome.drafted += length
            outcome.time += time
        }
        return outcome
    }

    /// A draft model's reading is not in the account, but has a limit.
    @Test func aDraftModelReadsLittleOfWhatIsToCome() {
        let planner = SpeculationPlanner(.automatic)
        #expect(planner.mayRead(1000, coming: 1), "nothing is known yet")
        _ = decode(100, planner, on: Self.machines[0], expected: []) { _ in 0 }  // 20 ms for a token
        var now = 0.0
        planner.clock = { now }
        planner.timeModel {
            now += 1
            return 1000
        }
        // 200 tokens take 4 s, a quarter of which are 1000 tokens of the draft model.
        #expect(planner.mayRead(990, coming: 200) && !planner.mayRead(1010, coming: 200))
        #expect(!planner.mayRead(1000, coming: 8) && planner.mayRead(30, coming: 8))
    }

    private static let confident = (1...7).map { _ in 0.95 }

    @Test(arguments: machines)
    func aTextThatMisleadsLosesLittle(_ machine: [Double]) {
        // All drafts are expected to be accepted, and none is.
        let outcome = decode(300, on: machine, expected: Self.confident) { _ in 0 }
        #expect(outcome.rate > 0.98 && outcome.drafted > 0, "\(outcome)")
        #expect(decode(5000, on: machine, expected: Self.confident) { _ in 0 }.rate > 0.985)
    }

    @Test
    func draftsThatAreAcceptedArePaidFor() {
        let rates = Self.machines.map { decode(600, on: $0, expected: Self.confident) { $0 }.rate }
        #expect(rates[0] > 3.4 && rates[1] > 5.5, "\(rates)")
        // Where a row more takes as long as a step, nothing is gained, and little is lost.
        #expect(rates[2] > 0.98, "\(rates)")
    }

    @Test
    func aTextThatChangesIsFollowed() {
        let planner = SpeculationPlanner(.automatic)
        let machine = Self.machines[0]
        #expect(decode(200, planner, on: machine, expected: Self.confident) { $0 }.rate > 3)
        #expect(decode(600, planner, on: machine, expected: Self.confident) { _ in 0 }.rate > 0.97)
        #expect(decode(400, planner, on: machine, expected: Self.confident) { $0 }.rate > 2)
    }

    @Test
    func lengthsFollowProbabilitiesAndCosts() {
        let planner = SpeculationPlanner(.automatic)
        _ = decode(400, planner, on: Self.machines[0], expected: Self.confident) { $0 }
        func length(_ probability: Double) -> Int {
            planner.lengths([(1...7).map { place in (0..<place).reduce(1.0) { product, _ in product * probability } }])[
                0]
        }
        #expect(length(0.05) == 0)
        #expect(length(0.99) == 7)
        for (low, high) in [(0.3, 0.6), (0.6, 0.8), (0.8, 0.95)] { #expect(length(low) <= length(high)) }
        #expect(planner.lengths([[]]) == [0])
    }

    @Test
    func sequencesShareTheRows() {
        let planner = SpeculationPlanner(.automatic)
        for _ in 0..<50 { planner.learn(rows: 1, isPlain: true, seconds: 0.02) }
        // Unknown numbers of rows are approached.
        #expect(planner.lengths([[0.9, 0.85, 0.8], []]) == [0, 0])
        planner.learn(rows: 8, isPlain: false, seconds: 0.03)
        let sure = [0.9, 0.85, 0.8], unsure = [0.2, 0.1]
        let lengths = planner.lengths([sure, unsure, sure])
        #expect(abs(lengths[0] - lengths[2]) <= 1 && lengths[0] > lengths[1] && lengths[2] > lengths[1])
        // Never more rows than are measured, and none where many decode already.
        #expect(planner.lengths((0..<10).map { _ in Self.confident }).reduce(10, +) <= StepCosts.mostRows)
        #expect(!planner.mayDraft(rows: StepCosts.mostRows))
    }

    @Test
    func plainStepsAreMeasuredAgainAndAgain() {
        let outcome = decode(2000, on: Self.machines[1], expected: Self.confident) { $0 }
        #expect(outcome.drafted < outcome.steps * 7)
        let planner = SpeculationPlanner(.automatic)
        #expect(!planner.mayDraft(rows: 1), "before a step was timed")
    }

    @Test
    func fixedLengthsAndNone() {
        #expect(SpeculationPlanner(Speculation(policy: .fixed(3))).lengths([Self.confident, [0.1]]) == [3, 1])
        #expect(!SpeculationPlanner(.off).mayDraft(rows: 1))
    }
}
