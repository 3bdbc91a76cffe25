import PhiTestSupport
import Testing

/// The program must have failed as a shell script can rely on: status 1, one line on standard error that begins with `phi: `
/// and has `word` in it, nothing on standard output, little memory.
func expectRefusal(
    _ outcome: Outcome, _ word: String, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(outcome.status == 1, comment, sourceLocation: sourceLocation)
    #expect(outcome.signal == 0, comment, sourceLocation: sourceLocation)
    let error = outcome.errorText
    let isOneLine = error.hasPrefix("phi: ") && error.hasSuffix("\n") && error.filter(\.isNewline).count == 1
    #expect(isOneLine, "\(comment?.rawValue ?? ""): \(error)", sourceLocation: sourceLocation)
    #expect(error.contains(word), comment, sourceLocation: sourceLocation)
    #expect(outcome.output.isEmpty, comment, sourceLocation: sourceLocation)
    let limit = max(300 << 20, ownPeakMemory() + 64 << 20)
    #expect(outcome.peakMemory < limit, comment, sourceLocation: sourceLocation)
}

/// The program must have refused its arguments: status 64 and a first line that says which.
func expectWrongUsage(
    _ outcome: Outcome, _ word: String, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(outcome.status == 64, "\(outcome.errorText)", sourceLocation: sourceLocation)
    let first = outcome.errorText.prefix { !$0.isNewline }
    #expect(first.hasPrefix("Error: ") && first.contains(word), "\(outcome.errorText)", sourceLocation: sourceLocation)
    #expect(outcome.output.isEmpty, sourceLocation: sourceLocation)
}
