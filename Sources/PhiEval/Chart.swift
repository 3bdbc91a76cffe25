import Phi

/// A picture of curves as an SVG file: as little as the evaluator needs.
///
/// A curve may have a band about it. The vertical axis may be logarithmic; then only values above 0 are drawn.
public struct Chart: Sendable {
    /// A curve through points, from left to right.
    public struct Curve: Sendable {
        /// What the legend calls it.
        public let name: String
        /// Its points.
        public let points: [(x: Double, y: Double)]
        /// How far the band reaches above and below each point; empty for none.
        public let band: [Double]

        /// Makes a curve.
        public init(_ name: String, _ points: [(x: Double, y: Double)], band: [Double] = []) {
            self.name = name
            self.points = points
            self.band = band
        }
    }

    /// What stands above it.
    public let title: String
    /// What stands along the axes.
    public let labels: (x: String, y: String)
    /// Its curves.
    public let curves: [Curve]
    /// Whether the vertical axis is logarithmic.
    public let isLogarithmic: Bool

    /// Makes a picture.
    public init(title: String, labels: (x: String, y: String), curves: [Curve], isLogarithmic: Bool = false) {
        self.title = title
        self.labels = labels
        self.curves = curves
        self.isLogarithmic = isLogarithmic
    }

    private static let size = (width: 720.0, height: 440.0)
    private static let plot = (left: 84.0, top: 44.0, right: 700.0, bottom: 386.0)
    private static let colours = ["#0b6fb8", "#c8501e", "#2e8540", "#6d4c9f"]

    /// The picture as SVG.
    public var svg: String {
        let scale = Scale(self)
        var lines = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" width="720" height="440" viewBox="0 0 720 440" \
            font-family="sans-serif" font-size="12" fill="#222">
            <rect width="720" height="440" fill="#fff"/>
            <text x="84" y="26" font-size="15">\(Self.escaped(title))</text>
            """
        ]
        for tick in scale.yTicks {
            let y = scale.y(tick).shown
            lines.append("<path d=\"M84 \(y)H700\" stroke=\"#ddd\"/>")
            lines.append(
                "<text x=\"78\" y=\"\((scale.y(tick) + 4).shown)\" text-anchor=\"end\">\(tick.tickLabel)</text>")
        }
        for tick in scale.xTicks {
            let x = scale.x(tick).shown
            lines.append("<text x=\"\(x)\" y=\"404\" text-anchor=\"middle\">\(tick.tickLabel)</text>")
        }
        lines.append("<path d=\"M84 44V386H700\" fill=\"none\" stroke=\"#222\"/>")
        lines.append("<text x=\"392\" y=\"428\" text-anchor=\"middle\">\(Self.escaped(labels.x))</text>")
        lines.append(
            "<text transform=\"translate(20 215) rotate(-90)\" text-anchor=\"middle\">\(Self.escaped(labels.y))</text>")
        for (number, curve) in curves.enumerated() {
            let colour = Self.colours[number % Self.colours.count]
            lines += draw(curve, colour, scale)
            let y = 60 + 18 * number
            lines.append("<path d=\"M560 \(y - 4)h20\" stroke=\"\(colour)\" stroke-width=\"2\"/>")
            lines.append("<text x=\"586\" y=\"\(y)\">\(Self.escaped(curve.name))</text>")
        }
        return (lines + ["</svg>", ""]).joined(separator: "\n")
    }

    private func draw(_ curve: Curve, _ colour: String, _ scale: Scale) -> [String] {
        func path(_ points: [(x: Double, y: Double)]) -> String {
            points.map { "\(scale.x($0.x).shown) \(scale.y($0.y).shown)" }.joined(separator: "L")
        }
        var lines: [String] = []
        let visible = curve.points.filter { scale.shows($0.y) }
        guard !visible.isEmpty else { return [] }
        if curve.band.count == curve.points.count, !curve.band.isEmpty {
            let upper = zip(curve.points, curve.band).map { (x: $0.x, y: $0.y + $1) }
            let lower = zip(curve.points, curve.band).map { (x: $0.x, y: $0.y - $1) }
            let outline = path((upper + lower.reversed()).filter { scale.shows($0.y) })
            lines.append("<path d=\"M\(outline)Z\" fill=\"\(colour)\" opacity=\"0.2\"/>")
        }
        lines.append(
            "<path d=\"M\(path(visible))\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"/>")
        return lines
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
    }

    /// Where values lie on the picture.
    private struct Scale {
        let isLogarithmic: Bool
        let xTicks: [Double]
        let yTicks: [Double]
        private let xRange: ClosedRange<Double>
        private let yRange: ClosedRange<Double>

        init(_ chart: Chart) {
            isLogarithmic = chart.isLogarithmic
            let points = chart.curves.flatMap { curve in
                curve.points.enumerated().flatMap { place, point in
                    let reach = place < curve.band.count ? curve.band[place] : 0
                    return [(point.x, point.y + reach), (point.x, point.y - reach)]
                }
            }
            let ys = points.map(\.1).filter { $0.isFinite && (!chart.isLogarithmic || $0 > 0) }
            xTicks = Self.ticks(points.map(\.0))
            let heights = chart.isLogarithmic ? ys.map { DeterministicMath.log($0) / 2.302585092994046 } : ys
            let steps = chart.isLogarithmic ? Self.decades(heights) : Self.ticks(heights)
            yTicks = chart.isLogarithmic ? steps.map { exponent($0 * 2.302585092994046) } : steps
            xRange = Self.range(points.map(\.0), [])
            yRange = Self.range(heights, steps)
        }

        func shows(_ y: Double) -> Bool { y.isFinite && (!isLogarithmic || y > 0) }

        func x(_ value: Double) -> Double {
            Chart.plot.left + (Chart.plot.right - Chart.plot.left) * Self.share(value, xRange)
        }

        func y(_ value: Double) -> Double {
            let height = isLogarithmic ? DeterministicMath.log(value) / 2.302585092994046 : value
            return Chart.plot.bottom - (Chart.plot.bottom - Chart.plot.top) * Self.share(height, yRange)
        }

        private static func share(_ value: Double, _ range: ClosedRange<Double>) -> Double {
            (value - range.lowerBound) / (range.upperBound - range.lowerBound)
        }

        private static func range(_ values: [Double], _ ticks: [Double]) -> ClosedRange<Double> {
            let all = values + ticks
            let low = all.min() ?? 0
            let high = all.max() ?? 1
            return low < high ? low...high : low - 0.5...high + 0.5
        }

        /// Powers of ten about the values.
        private static func decades(_ values: [Double]) -> [Double] {
            guard let low = values.min()?.rounded(.down), let high = values.max()?.rounded(.up) else { return [] }
            return Array(stride(from: max(low, high - 12), through: high, by: 1))
        }

        /// Four to nine round numbers about the values.
        private static func ticks(_ values: [Double]) -> [Double] {
            guard let low = values.min(), let high = values.max(), low < high else {
                return values.first.map { [$0] } ?? []
            }
            var step = 1.0
            while (high - low) / step > 8 { step *= 10 }
            while (high - low) / step < 0.8 { step /= 10 }
            for divisor in [5.0, 2.0] where (high - low) / step < 4 && (high - low) / (step / divisor) <= 9 {
                step /= divisor
                break
            }
            return Array(stride(from: (low / step).rounded(.up) * step, through: high + step * 1e-9, by: step))
        }
    }
}

extension Double {
    /// With two digits after the point at most.
    fileprivate var shown: String {
        let hundredths = (self * 100).rounded() / 100
        return hundredths == hundredths.rounded() ? "\(Int(hundredths))" : "\(hundredths)"
    }

    /// As short as it can be read on an axis.
    fileprivate var tickLabel: String {
        if self != 0, magnitude < 1e-3 || magnitude >= 1e6 {
            let power = (DeterministicMath.log(magnitude) / 2.302585092994046).rounded()
            return "1e\(Int(power))"
        }
        let rounded = (self * 1e6).rounded() / 1e6
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
}
