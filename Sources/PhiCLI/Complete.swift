import ArgumentParser
import Phi
import PhiFormat
import PhiTokenizer
struct Complete: ParsableCommand {
    @OptionGroup var model: ModelOptions
    @OptionGroup var sessionOptions: SessionOptions
    @Argument var prompt: String
    @Option(name: .short) var n = 64
    func run() throws {
        let c = ContinuousClock()
        let t0 = c.now
        let model = try model.open()
        let s = try sessionOptions.session(model)
        let ids = model.tokenizer.encode(prompt)
        let t1 = c.now
        try s.append(ids)
        let t2 = c.now
        var d = StreamDecoder(model.tokenizer.vocabulary)
        for _ in 0..<n {
            let best = s.withLogits { l in l.indices.max { l[$0] < l[$1] } ?? 0 } ?? 0
            try Console.write(d.push(TokenID(best)))
            try s.append(TokenID(best))
        }
        let t3 = c.now
        Console.error("\nopen \(t1-t0) prefill \(ids.count) \(t2-t1) decode \(n): \(Double(n)/(t3-t2).seconds) tok/s\n")
    }
}
