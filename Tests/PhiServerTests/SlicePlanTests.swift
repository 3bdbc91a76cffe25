import PhiServer
import Testing

struct SlicePlanTests {
    @Test func theShortestComesFirstAndTheOldestIsNotForgotten() {
        #expect(SlicePlan.slices([], budget: 64) == [])
        #expect(SlicePlan.slices([0, 0], budget: 64) == [0, 0])
        #expect(SlicePlan.slices([10, 0, 20], budget: 64) == [10, 0, 20])
        let slices = SlicePlan.slices([1000, 10, 900, 20], budget: 64)
        #expect(slices.reduce(0, +) == 64 && slices[0] >= 16 && slices[1] == 10 && slices[3] == 20)
        #expect(SlicePlan.slices([1000, 100], budget: 64) == [16, 48])
        #expect(SlicePlan.slices([5], budget: 1) == [1])
        #expect(SlicePlan.slices([5, 1], budget: 1) == [1, 0])
    }

    @Test func aBudgetIsLearnt() {
        var budget = PrefillBudget()
        #expect(budget.tokens(besideOthers: true) == PrefillBudget.range.lowerBound)
        for _ in 0..<50 { budget.learn(tokens: 100, seconds: 0.1) }
        #expect((110...121).contains(budget.tokens(besideOthers: true)))
        #expect(budget.tokens(besideOthers: false) == PrefillBudget.range.upperBound)
        for _ in 0..<50 { budget.learn(tokens: 100, seconds: 100) }
        #expect(budget.tokens(besideOthers: false) == PrefillBudget.range.lowerBound)
        let before = budget.tokens(besideOthers: true)
        budget.learn(tokens: 1, seconds: 0.0001)
        #expect(budget.tokens(besideOthers: true) == before, "a step of few tokens teaches nothing")
    }
}
