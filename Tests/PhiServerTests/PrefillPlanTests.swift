import PhiServer
import Testing

struct PrefillPlanTests {
    @Test func theShortestComesFirstAndTheOldestIsNotStarved() {
        #expect(PrefillPlan.chunks([], budget: 64) == [])
        #expect(PrefillPlan.chunks([0, 0], budget: 64) == [0, 0])
        #expect(PrefillPlan.chunks([10, 0, 20], budget: 64) == [10, 0, 20])
        let chunks = PrefillPlan.chunks([1000, 10, 900, 20], budget: 64)
        #expect(chunks.reduce(0, +) == 64 && chunks[0] >= 16 && chunks[1] == 10 && chunks[3] == 20)
        #expect(PrefillPlan.chunks([1000, 100], budget: 64) == [16, 48])
        #expect(PrefillPlan.chunks([5], budget: 1) == [1])
        #expect(PrefillPlan.chunks([5, 1], budget: 1) == [1, 0])
    }

    @Test func theBudgetIsLearnt() {
        var budget = PrefillBudget()
        #expect(budget.tokens(prefilling: 1, decoding: 1) == PrefillBudget.range.lowerBound)
        for _ in 0..<50 { budget.learn(tokens: 100, seconds: 0.2) }
        #expect((95...101).contains(budget.tokens(prefilling: 1, decoding: 1)))
        #expect(budget.tokens(prefilling: 1, decoding: 0) == PrefillBudget.range.upperBound)
        for _ in 0..<50 { budget.learn(tokens: 100, seconds: 100) }
        #expect(budget.tokens(prefilling: 1, decoding: 0) == PrefillBudget.range.lowerBound)
        let before = budget.tokens(prefilling: 1, decoding: 1)
        budget.learn(tokens: 1, seconds: 0.0001)
        #expect(budget.tokens(prefilling: 1, decoding: 1) == before, "steps of few tokens are ignored")
    }

    /// Prefill gets three times the time of decoding, until a step takes its most.
    @Test func stepsAreLongerTheLongerDecodingTakes() {
        var budget = PrefillBudget()
        for _ in 0..<50 { budget.learn(tokens: 100, seconds: 0.5) }
        func tokens(_ seconds: Double, _ decoding: Int = 7) -> Int {
            for _ in 0..<50 { budget.learn(decoding: decoding, seconds: seconds) }
            return budget.tokens(prefilling: 1, decoding: 7)
        }
        #expect((39...41).contains(tokens(0.05)))
        #expect((59...61).contains(tokens(0.1)))
        #expect((49...51).contains(tokens(0.15)))
        #expect((39...41).contains(tokens(0.5)), "as if it were not known")
        #expect((59...61).contains(tokens(0.1)))
        #expect((59...61).contains(tokens(0.05, 1)), "of the nearest number of sequences")
        #expect(budget.tokens(prefilling: 1, decoding: 0) == 80)
    }

    @Test func stepsAreLongerTheMoreSequencesPrefill() {
        var budget = PrefillBudget()
        for _ in 0..<50 { budget.learn(tokens: 50, seconds: 0.1) }
        #expect((95...100).contains(budget.tokens(prefilling: 1, decoding: 7)))
        #expect((95...100).contains(budget.tokens(prefilling: 4, decoding: 4)))
        #expect((120...125).contains(budget.tokens(prefilling: 5, decoding: 4)))
        #expect(budget.tokens(prefilling: 7, decoding: 1) == PrefillBudget.range.upperBound)
    }
}
