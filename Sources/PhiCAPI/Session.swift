// phi.h documents these functions.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CPhi
import Phi
import PhiTokenizer

@c @implementation
public func phi_session_open(
    _ model: OpaquePointer?, _ options: UnsafePointer<phi_session_options>?,
    _ session: UnsafeMutablePointer<OpaquePointer?>?
) -> phi_status {
    status {
        let place = try given(session, "session")
        let options = try phi_session_options(options, "options")
        place.pointee = handle(
            to: try Session(
                try object(model, "model"), context: options.context == 0 ? nil : Int(options.context),
                threads: options.threads == 0 ? nil : Int(options.threads), cache: try CacheEncoding(options.cache),
                speculation: try Speculation(options)))
        return PHI_OK
    }
}

extension Speculation {
    fileprivate init(_ options: phi_session_options) throws {
        guard (0...1).contains(options.no_speculation) else {
            throw Failure.argument("no_speculation must be 0 or 1, got \(options.no_speculation)")
        }
        let corpus = try elements(options.draft_corpus, options.draft_corpus_count, "draft_corpus")
        let model: LanguageModel? = try options.draft_model.map { try object($0, "draft_model") }
        if options.no_speculation == 1, model != nil || !corpus.isEmpty {
            throw Failure.argument("no_speculation excludes draft_corpus and draft_model")
        }
        // A corpus takes up to 130 bytes for each token; its copy here 4.
        let taken = corpus.prefix(DraftCorpus.mostTokens)
        try reserve(taken.count, times: 134)
        self =
            options.no_speculation == 1
            ? .off : Speculation(corpus: corpus.isEmpty ? nil : DraftCorpus(Array(taken)), draftModel: model)
    }
}

extension CacheEncoding {
    /// The caller's choice of encoding; nil for the model's.
    fileprivate init?(_ cache: phi_cache) throws {
        switch cache {
        case PHI_CACHE_BY_MODEL: return nil
        case PHI_CACHE_F32: self = .f32
        case PHI_CACHE_F16: self = .f16
        case PHI_CACHE_Q8: self = .q8
        default: throw Failure.argument("cache must be one of phi_cache, got \(cache.rawValue)")
        }
    }
}

@c @implementation
public func phi_session_close(_ session: OpaquePointer?) { release(session, Session.self) }

@c @implementation
public func phi_session_draft_counts(
    _ session: OpaquePointer?, _ drafted: UnsafeMutablePointer<UInt64>?, _ accepted: UnsafeMutablePointer<UInt64>?
) -> phi_status {
    status {
        let session: Session = try object(session, "session")
        let counts = session.engine.draftCounts
        let places = (try given(drafted, "drafted"), try given(accepted, "accepted"))
        (places.0.pointee, places.1.pointee) = (UInt64(counts.drafted), UInt64(counts.accepted))
        return PHI_OK
    }
}

@c @implementation
public func phi_session_append(
    _ session: OpaquePointer?, _ tokens: UnsafePointer<phi_token>?, _ count: Int
) -> phi_status {
    status {
        let session: Session = try object(session, "session")
        let tokens = try elements(tokens, count, "tokens")
        try session.check(tokens)  // before they are copied
        if tokens.count == 1 { try session.append(tokens[0]) } else { try session.append(tokens) }
        return PHI_OK
    }
}

@c @implementation
public func phi_session_score(
    _ session: OpaquePointer?, _ tokens: UnsafePointer<phi_token>?, _ count: Int,
    _ logProbabilities: UnsafeMutablePointer<Double>?
) -> phi_status {
    status {
        let session: Session = try object(session, "session")
        let tokens = try elements(tokens, count, "tokens")
        guard !tokens.isEmpty else { return PHI_OK }
        let out = try given(logProbabilities, "log_probabilities")
        try session.check(tokens)  // before anything is changed
        if let token = session.tokens.last, session.withLogits({ _ in }) == nil {
            // The logits are gone, as after a truncation: the last token is computed again.
            session.truncate(to: session.tokens.count - 1)
            try session.append(token)
        }
        let first = session.withLogits { LogProbabilities($0).of(tokens[0]) } ?? .nan
        try session.append(tokens) { place, logits in
            if place + 1 < tokens.count { out[place + 1] = LogProbabilities(logits).of(tokens[place + 1]) }
        }
        out[0] = first
        return PHI_OK
    }
}

@c @implementation
public func phi_session_logits(
    _ session: OpaquePointer?, _ logits: UnsafeMutablePointer<Float>?, _ capacity: Int,
    _ count: UnsafeMutablePointer<Int>?
) -> phi_status {
    status {
        let session: Session = try object(session, "session")
        let result = session.withLogits { values in
            Result { try write(values, to: logits, capacity, count) }
        }
        guard let result else { throw Failure(PHI_ERROR_STATE, "the session has no logits: append a token") }
        return try result.get()
    }
}

@c @implementation
public func phi_session_tokens(
    _ session: OpaquePointer?, _ tokens: UnsafeMutablePointer<phi_token>?, _ capacity: Int,
    _ count: UnsafeMutablePointer<Int>?
) -> phi_status {
    status {
        let session: Session = try object(session, "session")
        return try write(session.tokens, to: tokens, capacity, count)
    }
}

@c @implementation
public func phi_session_truncate(_ session: OpaquePointer?, _ count: Int) -> phi_status {
    status {
        let session: Session = try object(session, "session")
        session.truncate(to: number(count))
        return PHI_OK
    }
}

@c @implementation
public func phi_session_fork(
    _ session: OpaquePointer?, _ count: Int, _ fork: UnsafeMutablePointer<OpaquePointer?>?
) -> phi_status {
    status {
        let place = try given(fork, "fork")
        let session: Session = try object(session, "session")
        place.pointee = handle(to: try session.fork(first: number(count)))
        return PHI_OK
    }
}

@c @implementation
public func phi_session_save(
    _ session: OpaquePointer?, _ count: Int, _ bytes: UnsafeMutableRawPointer?, _ capacity: Int,
    _ size: UnsafeMutablePointer<Int>?
) -> phi_status {
    status {
        let session: Session = try object(session, "session")
        let needed = session.snapshotSize(first: number(count))
        try given(size, "size").pointee = needed
        guard needed <= number(capacity) else {
            throw Failure(PHI_ERROR_ROOM, "the capacity is \(capacity), \(needed) bytes are needed")
        }
        session.save(
            first: number(count), into: UnsafeMutableRawBufferPointer(start: try given(bytes, "bytes"), count: needed))
        return PHI_OK
    }
}

@c @implementation
public func phi_session_restore(_ session: OpaquePointer?, _ bytes: UnsafeRawPointer?, _ size: Int) -> phi_status {
    status {
        let session: Session = try object(session, "session")
        guard size >= 0 else { throw Failure.argument("the size is too large") }
        try session.restore(UnsafeRawBufferPointer(start: try given(bytes, "bytes"), count: size))
        return PHI_OK
    }
}
