import Foundation
import Phi
import PhiFormat
import PhiTestSupport
import PhiTokenizer
import Testing

/// What the calling thread brings along, its arithmetic and its stack, changes no result.
struct CallerThreadTests {
    private struct Results: Equatable {
        var logits: [UInt32]?
        var texts: [String] = []
        var choices: [[TokenChoice]] = []
    }

    /// What an engine of its own, a sampler and log-probabilities make on this thread.
    private func results(_ model: LanguageModel, _ threads: Int) throws -> Results {
        var results = Results()
        let session = try Session(model, threads: threads)
        try session.append(Seeded.ids(60, vocabulary: model.config.vocabulary))
        results.logits = session.withLogits { $0.map(\.bitPattern) }
        for sampling in [
            SamplingOptions.greedy,
            try SamplingOptions(temperature: 0.9, topP: 0.95, repeatPenalty: 1.1, frequencyPenalty: 0.3, seed: 3),
        ] {
            let made = try session.complete(
                Seeded.ids(10, vocabulary: 250),
                GenerationOptions(
                    maximumTokens: 20, sampling: sampling, logProbabilities: 3, ignoresEndOfText: true))
            results.texts.append(made.text)
            results.choices.append(made.choices)
        }
        return results
    }

    @Test(arguments: [TensorEncoding.q4, .q8, .f32])
    func roundingIsTheDefault(_ encoding: TensorEncoding) throws {
        let model = try TinyPhi().model(encoding)
        let expected = try results(model, 1)
        for mode in [FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO] as [Int32] {
            for threads in [1, 2] {
                #expect(fesetround(mode) == 0)
                let made = Result { try results(model, threads) }
                let after = fegetround()
                fesetround(FE_TONEAREST)
                #expect(try made.get() == expected, "\(mode), \(threads) threads")
                #expect(after == mode, "the caller's is as before")
            }
        }
    }

    /// Work of another thread, and its result.
    private final class Work: @unchecked Sendable {
        let body: () throws -> Results
        var made: Result<Results, any Error>?
        var hadSmallStack = false

        init(_ body: @escaping () throws -> Results) { self.body = body }

        func run() {
            hadSmallStack = CallerStack.isSmall
            made = Result { try body() }
        }
    }

    /// Runs `work` on a thread whose stack has just so many bytes.
    private func run(_ work: Work, stack bytes: Int) throws {
        #if os(Linux)
            // Memory of its own: the system's library may give a thread a larger stack that another one has left.
            let memory = try #require(mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
            try #require(memory != MAP_FAILED)
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            try #require(pthread_attr_setstack(&attributes, memory, bytes) == 0)
            var thread = pthread_t()
            let code = pthread_create(
                &thread, &attributes,
                { raw in
                    if let raw { Unmanaged<Work>.fromOpaque(raw).takeUnretainedValue().run() }
                    return nil
                }, Unmanaged.passUnretained(work).toOpaque())
            try #require(code == 0)
            pthread_join(thread, nil)
            pthread_attr_destroy(&attributes)
            munmap(memory, bytes)
        #else
            let isDone = DispatchSemaphore(value: 0)
            let thread = Thread {
                work.run()
                isDone.signal()
            }
            thread.stackSize = bytes
            thread.start()
            isDone.wait()
        #endif
    }

    @Test(arguments: [96, 128, 192])
    func aSmallStackSuffices(_ kilobytes: Int) throws {
        let model = try TinyPhi().model(.q8)
        let expected = try results(model, 1)
        for threads in [1, 2, 3] {
            let work = Work { try results(model, threads) }
            try run(work, stack: kilobytes << 10)
            #expect(work.hadSmallStack)
            #expect(try work.made?.get() == expected, "\(threads) threads")
        }
        #expect(!CallerStack.isSmall)
    }
}
