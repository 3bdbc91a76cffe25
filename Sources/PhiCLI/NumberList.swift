import ArgumentParser

/// Whole numbers in llama-bench's notation: `1,2,4`, `1-8`, `128-512+128`, `64-512*2`, and lists of these.
struct NumberList: ExpressibleByArgument, ExpressibleByArrayLiteral {
    let numbers: [Int]
    private static let limit = 10_000

    init?(argument: String) {
        var numbers: [Int] = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let range = Self.range(part), numbers.count + range.count <= Self.limit else { return nil }
            numbers += range
        }
        self.numbers = numbers
    }

    init(arrayLiteral numbers: Int...) { self.numbers = numbers }

    var defaultValueDescription: String { numbers.map(String.init).joined(separator: ",") }

    private static func range(_ text: Substring) -> [Int]? {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = ends.first.flatMap({ Int32($0) }).map(Int.init), first >= 0 else { return nil }
        if ends.count == 1 { return [first] }
        let isProduct = ends[1].contains("*")
        let parts = ends[1].split(separator: isProduct ? "*" : "+", maxSplits: 1, omittingEmptySubsequences: false)
        guard let last = parts.first.flatMap({ Int32($0) }).map(Int.init), last >= first else { return nil }
        let step = parts.count == 1 ? 1 : Int(parts[1])
        guard let step, step >= (isProduct ? 2 : 1), !isProduct || first > 0 else { return nil }
        var numbers: [Int] = []
        var next = first
        while next <= last, numbers.count <= limit {
            numbers.append(next)
            let (value, overflow) =
                isProduct ? next.multipliedReportingOverflow(by: step) : next.addingReportingOverflow(step)
            if overflow { break }
            next = value
        }
        return numbers
    }
}

/// Two whole numbers above 0, as in `512,128`.
struct NumberPair: ExpressibleByArgument {
    let first: Int
    let second: Int

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int32($0).map(Int.init) }
        guard parts.count == 2, let first = parts[0], let second = parts[1], first > 0, second > 0 else { return nil }
        self.first = first
        self.second = second
    }
}
