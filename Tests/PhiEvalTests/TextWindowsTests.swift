import Phi
import PhiEval
import PhiTokenizer
import Testing

/// Which tokens are predicted, counted as llama-perplexity counts them.
struct TextWindowsTests {
    private func tokens(_ count: Int) -> [TokenID] { (0..<count).map { TokenID($0) } }

    @Test(arguments: [(16, 8, 2, 3), (17, 8, 2, 3), (15, 8, 1, 3), (8, 8, 1, 3), (20, 5, 4, 2), (100, 4, 25, 1)])
    func halves(_ count: Int, _ context: Int, _ windows: Int, _ perWindow: Int) throws {
        let text = try TextWindows(tokens(count), context: context)
        #expect(text.count == windows && text.scoredPerWindow == perWindow && text.scored == windows * perWindow)
        // n_ctx - 1 - n_ctx / 2 predictions, the first of them of token n_ctx / 2 + 1.
        #expect(text.firstScored == context / 2)
        for index in 0..<windows { #expect(text.window(index).first == TokenID(index * context)) }
    }

    @Test(arguments: [(9, 8, 2, 1), (10, 8, 2, 1), (11, 8, 2, 2), (20, 8, 3, 4), (20, 8, 7, 2)])
    func strides(_ count: Int, _ context: Int, _ stride: Int, _ windows: Int) throws {
        let text = try TextWindows(tokens(count), context: context, stride: stride)
        #expect(text.count == windows && text.scoredPerWindow == stride)
        #expect(text.firstScored == context - stride - 1)
        let last = text.window(windows - 1)
        #expect(last.first == TokenID((windows - 1) * stride) && last.count == context)
    }

    @Test func takesALimit() throws {
        #expect(try TextWindows(tokens(100), context: 10, limit: 3).count == 3)
        #expect(try TextWindows(tokens(100), context: 10, limit: 30).count == 10)
    }

    @Test(arguments: [
        (7, 8, nil, nil), (8, 8, 2, nil), (100, 3, nil, nil), (100, 8, 8, nil), (100, 8, 0, nil), (100, 8, nil, 0),
    ])
    func refuses(_ count: Int, _ context: Int, _ stride: Int?, _ limit: Int?) {
        #expect(throws: OptionError.self) {
            try TextWindows(tokens(count), context: context, stride: stride, limit: limit)
        }
    }
}
