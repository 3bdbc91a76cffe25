extension KernelCase {
    /// Small and odd shapes of every operation: what the tests compare.
    package static let odd: [KernelCase] = {
        var cases = [probeRead(bytes: 3 << 16), probeDot(items: 3)]
        for encoding in WeightEncoding.all {
            for tokens in [1, 2, 3, 4, 5, 6, 7, 11, 15, 16, 17, 49, 101] {
                for (rows, columns) in [(1, 1), (16, 64), (17, 100), (50, 257), (130, 600)] {
                    for adds in [false, true] {
                        cases.append(
                            matmul(encoding, rows: rows, columns: columns, tokens: tokens, accumulate: adds))
                    }
                }
            }
            for (rows, columns) in [(1, 1), (16, 64), (17, 65), (5, 31), (48, 33), (33, 200), (16, 2048)] {
                cases.append(encode(encoding, rows: rows, columns: columns))
            }
        }
        for encoding in CacheEncoding.allCases {
            for shape in attentionShapes { cases += [store(encoding, shape), attention(encoding, shape)] }
        }
        for width in [64, 128, 320, 1024, 1088] {
            for tokens in [1, 11, 12, 13, 29] { cases.append(quantise(width: width, tokens: tokens)) }
        }
        for columns in [1, 15, 16, 17, 511, 512, 513, 1040] { cases.append(gelu(columns: columns, tokens: 3)) }
        return cases
    }()

    /// What one decoded token and batches of a prompt ask for in phi-1, by the weight encodings given: what is timed.
    package static func phi1(_ encodings: [WeightEncoding], tokens: [Int]) -> [KernelCase] {
        let hidden = 2048, intermediate = 8192, heads = 32
        var cases: [KernelCase] = []
        for count in tokens {
            for encoding in encodings {
                cases += [
                    matmul(encoding, rows: 3 * hidden + intermediate, columns: hidden, tokens: count),
                    matmul(encoding, rows: hidden, columns: hidden + intermediate, tokens: count, accumulate: true),
                ]
                // Of a prompt, only the last token's logits are wanted.
                if count == 1 { cases.append(matmul(encoding, rows: 50_295, columns: hidden, tokens: 1)) }
            }
            cases += [quantise(width: hidden, tokens: count), quantise(width: hidden + intermediate, tokens: count)]
            cases.append(gelu(columns: intermediate, tokens: count))
            for depth in [0, 1024] {
                let shape = AttentionShape(heads: heads, kvHeads: heads, headSize: 64, first: depth, tokens: count)
                for cache in [CacheEncoding.f16, .q8] { cases += [store(cache, shape), attention(cache, shape)] }
            }
        }
        return cases + [probeRead(bytes: 256 << 20), probeDot(items: 256)]
    }

    private static let attentionShapes = [
        AttentionShape(), AttentionShape(first: 63), AttentionShape(first: 64), AttentionShape(tokens: 70),
        AttentionShape(first: 100, tokens: 37),
        AttentionShape(heads: 3, kvHeads: 3, headSize: 80, first: 17, tokens: 9),
        AttentionShape(heads: 4, kvHeads: 2, headSize: 32, first: 200, tokens: 3),
        AttentionShape(heads: 5, kvHeads: 1, headSize: 8, first: 5, tokens: 130),
    ]
}
