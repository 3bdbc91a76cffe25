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
        #expect(budget.tokens(reading: 1, making: 1) == PrefillBudget.range.lowerBound)
        for _ in 0..<50 { budget.learn(tokens: 100, seconds: 0.1) }
        #expect((110...121).contains(budget.tokens(reading: 1, making: 1)))
        #expect(budget.tokens(reading: 1, making: 0) == PrefillBudget.range.upperBound)
        for _ in 0..<50 { budget.learn(tokens: 100, seconds: 100) }
        #expect(budget.tokens(reading: 1, making: 0) == PrefillBudget.range.lowerBound)
        let before = budget.tokens(reading: 1, making: 1)
        budget.learn(tokens: 1, seconds: 0.0001)
        #expect(budget.tokens(reading: 1, making: 1) == before, "a step of few tokens teaches nothing")
    }

    @Test func aStepIsLongerTheMoreTextsWaitForTheirFirstToken() {
        var budget = PrefillBudget()
        for _ in 0..<50 { budget.learn(tokens: 50, seconds: 0.1) }
        #expect((55...60).contains(budget.tokens(reading: 1, making: 7)))
        #expect((55...60).contains(budget.tokens(reading: 4, making: 4)))
        #expect((110...120).contains(budget.tokens(reading: 4, making: 2)))
        #expect(budget.tokens(reading: 7, making: 1) == PrefillBudget.range.upperBound)
    }
}
