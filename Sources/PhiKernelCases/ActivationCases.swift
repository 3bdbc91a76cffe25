import CPhiKernels

extension KernelCase {
    /// Activations to int8.
    package static func quantise(width: Int, tokens: Int) -> KernelCase {
        KernelCase("quantise", "\(width), \(tokens) tokens") { _ in
            var random = SeededGenerator(UInt64(width))
            var values = random.weights(tokens * width)
            // The first token's first block is nearly nothing, as are its next columns.
            for i in 0..<min(width, 256) { values[i] = i < 32 ? 0 : 1e-38 }
            for i in min(width, 256)..<min(width, 288) { values[i] = 0 }
            let x = Guarded(values), q = Guarded<Int8>(tokens * width)
            let scales = Guarded<Float>(tokens * blocks(width)),
                zeroCorrections = Guarded<Int32>(tokens * blocks(width))
            let groupZeroCorrections = Guarded<Int32>(tokens == 1 ? width / 16 : 0)
            var arguments = phi_quantise_args(
                x: x.pointer, x_stride: width, width: width, tokens: tokens, zero_point: 128, code_zero_point: 8,
                q: q.pointer, scales: scales.pointer, zero_corrections: zeroCorrections.pointer,
                group_zero_corrections: groupZeroCorrections.pointer)
            return KernelRun(
                [arguments], items: phi_quantise_items(&arguments), bytes: tokens * (width * 5 + blocks(width) * 8),
                outputs: [{ q.bytes }, { scales.bytes }, { zeroCorrections.bytes }, { groupZeroCorrections.bytes }],
                keeping: [x, q, scales, zeroCorrections, groupZeroCorrections])
        }
    }

    /// GELU of some rows, with infinities and other extremes among them.
    package static func gelu(columns: Int, tokens: Int) -> KernelCase {
        KernelCase("gelu", "\(columns), \(tokens) tokens") { _ in
            var random = SeededGenerator(UInt64(columns))
            var values = random.weights(tokens * columns, scale: 2)
            let extremes: [Float] = [0, -0.0, 100, -100, 1e-30, 1e30, -1e30, .infinity]
            for (i, extreme) in extremes.enumerated() where i < values.count { values[i] = extreme }
            let x = Guarded(values), out = Guarded<Float>(tokens * (columns + 3))
            var arguments = phi_gelu_args(
                x: x.pointer, x_stride: columns, out: out.pointer, out_stride: columns + 3, columns: columns)
            return KernelRun(
                [arguments], items: phi_gelu_items(&arguments, tokens), bytes: tokens * columns * 8,
                outputs: [{ out.bytes }], keeping: [x, out])
        }
    }

    /// Weights into tiles.
    package static func encode(_ encoding: WeightEncoding, rows: Int, columns: Int) -> KernelCase {
        KernelCase("encode_\(encoding)", "\(rows) x \(columns)") { _ in
            var random = SeededGenerator(UInt64(rows * 1000 + columns))
            var weights = random.weights(rows * columns, scale: 0.02)
            for i in weights.indices where i % 64 < 20 && i % 192 < 64 { weights[i] = 0 }
            if columns > 64 { for k in 0..<64 { weights[k] = k < 32 ? 0 : 1e-9 } }
            let tiles = roundUp(rows, 16) / 16
            let source = Guarded(weights)
            let out = Guarded<UInt8>(tiles * phi_tile_bytes(encoding.number, columns))
            let errors = Guarded<Double>(tiles), squares = Guarded<Double>(tiles)
            let arguments = phi_encode_args(
                rows: source.pointer, row_count: rows, columns: columns, out: out.pointer, errors: errors.pointer,
                squares: squares.pointer, feedback: nil, feedback_stride: 0, feedback_block: 0,
                importance: nil, differences: nil)
            return KernelRun(
                [arguments], items: tiles, bytes: weights.count * 4 + out.count,
                outputs: [{ out.bytes }, { errors.bytes }, { squares.bytes }], keeping: [source, out, errors, squares])
        }
    }

    /// Reading memory, as fast as it goes.
    package static func probeRead(bytes: Int) -> KernelCase {
        KernelCase("probe_read", "\(bytes >> 20) MiB") { _ in
            let items = max(1, bytes / Int(PHI_PROBE_BYTES))
            let memory = Guarded<UInt8>(items * Int(PHI_PROBE_BYTES), fill: 0x5b), sink = Guarded<Int32>(items)
            return KernelRun(
                [phi_probe_args(memory: memory.pointer, sink: sink.pointer)], items: items, bytes: memory.count,
                outputs: [{ sink.bytes }], keeping: [memory, sink])
        }
    }

    /// Integer dots from registers, as fast as they go.
    package static func probeDot(items: Int) -> KernelCase {
        KernelCase("probe_dot", "\(items) items") { _ in
            let levels = Guarded([UInt8](repeating: 17, count: 64)), sink = Guarded<Int32>(items)
            return KernelRun(
                [phi_probe_args(memory: levels.pointer, sink: sink.pointer)], items: items, bytes: 0,
                arithmetic: Double(items) * Double(PHI_PROBE_DOTS) * 128, outputs: [{ sink.bytes }],
                keeping: [levels, sink])
        }
    }
}
