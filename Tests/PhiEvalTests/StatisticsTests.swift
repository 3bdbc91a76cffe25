import Foundation
import PhiEval
import Testing

/// Means and quantiles against their definitions.
struct StatisticsTests {
    @Test func errorOfTheMean() {
        let values = [3.0, 1, 4, 1, 5, 9, 2, 6]
        var running = RunningMean()
        for value in values { running.add(value + 1e9) }
        let mean = values.reduce(0, +) / 8
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 8
        #expect(abs(running.estimate.value - 1e9 - mean) < 1e-6)
        // llama-perplexity: sqrt((mean of squares - square of mean) / (n - 1)).
        #expect(abs(running.estimate.error - (variance / 7).squareRoot()) < 1e-9)
        #expect(RunningMean().estimate == Estimate(value: 0, error: 0))
    }

    @Test func quantiles() {
        let sorted = SortedValues([4, 1, 3, 2])
        #expect(sorted.quantile(0) == 1 && sorted.quantile(1) == 4 && sorted.quantile(0.5) == 2.5)
        #expect(abs(sorted.quantile(0.9) - 3.7) < 1e-12)
        #expect(SortedValues([]).quantile(0.5) == 0)
    }

    @Test func picturesAreSVG() throws {
        let points = (1...50).map { (x: Double($0), y: 1 / Double($0)) }
        for isLogarithmic in [false, true] {
            let chart = Chart(
                title: "a < b & c", labels: ("x", "y"),
                curves: [
                    Chart.Curve("one", points, band: points.map { $0.y / 4 }),
                    Chart.Curve("zero", [(0, 0), (50, 0)]), Chart.Curve("none", []),
                ], isLogarithmic: isLogarithmic)
            let parser = XMLCounter()
            #expect(parser.count(chart.svg, "path") >= 4)
            #expect(!chart.svg.contains("nan") && !chart.svg.contains("inf"))
        }
    }
}

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// Counts elements; 0 for what is not XML.
private final class XMLCounter: NSObject, XMLParserDelegate {
    private var counts: [String: Int] = [:]

    func count(_ text: String, _ name: String) -> Int {
        let parser = XMLParser(data: Data(text.utf8))
        parser.delegate = self
        return parser.parse() ? counts[name] ?? 0 : 0
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String] = [:]
    ) { counts[name, default: 0] += 1 }
}
