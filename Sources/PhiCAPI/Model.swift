// phi.h documents these functions.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CPhi
import Phi
import PhiFormat
import PhiSystem
import PhiTokenizer

@c @implementation
public func phi_version_number() -> Int32 {
    1_000_000 * PHI_VERSION_MAJOR + 1000 * PHI_VERSION_MINOR + PHI_VERSION_PATCH
}

/// The version as a C string that is never freed.
private nonisolated(unsafe) let version: UnsafePointer<CChar> = {
    let bytes = Array(swiftPhiVersion.utf8CString)
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    copy.initialize(from: bytes, count: bytes.count)
    return UnsafePointer(copy)
}()

@c @implementation
public func phi_version() -> UnsafePointer<CChar>? { version }

@c @implementation
public func phi_model_open(_ path: UnsafePointer<CChar>?, _ model: UnsafeMutablePointer<OpaquePointer?>?) -> phi_status
{
    status {
        let place = try given(model, "model")
        let bytes = UnsafeBufferPointer(start: try given(path, "path"), count: strlen(try given(path, "path")))
        let file = try PhiFile(MappedFile(FilePath(bytes: bytes.map(UInt8.init(bitPattern:)))))
        place.pointee = handle(to: try LanguageModel(file))
        return PHI_OK
    }
}

@c @implementation
public func phi_model_close(_ model: OpaquePointer?) { release(model, LanguageModel.self) }

@c @implementation
public func phi_model_describe(_ model: OpaquePointer?, _ info: UnsafeMutablePointer<phi_model_info>?) -> phi_status {
    status {
        let model: LanguageModel = try object(model, "model")
        let config = model.config
        var result = phi_model_info.initial
        result.vocabulary = Int32(config.vocabulary)
        result.context = Int32(config.context)
        result.layers = Int32(config.layers)
        result.hidden_size = Int32(config.hiddenSize)
        result.heads = Int32(config.heads)
        result.kv_heads = Int32(config.kvHeads)
        result.end_of_text = phi_token(config.endOfText)
        result.bytes_per_token = UInt64(model.bytesPerToken)
        withUnsafeMutableBytes(of: &result.encoding) { $0.copyBytes(from: model.encoding.name.utf8.prefix(7)) }
        try result.write(to: info, "info")
        return PHI_OK
    }
}

@c @implementation
public func phi_model_ends_of_text(
    _ model: OpaquePointer?, _ tokens: UnsafeMutablePointer<phi_token>?, _ capacity: Int,
    _ count: UnsafeMutablePointer<Int>?
) -> phi_status {
    status {
        let model: LanguageModel = try object(model, "model")
        return try write(model.textBounds.ends, to: tokens, capacity, count)
    }
}

@c @implementation
public func phi_tokenize(
    _ model: OpaquePointer?, _ text: UnsafePointer<CChar>?, _ length: Int, _ flags: UInt32,
    _ tokens: UnsafeMutablePointer<phi_token>?, _ capacity: Int, _ count: UnsafeMutablePointer<Int>?
) -> phi_status {
    status {
        let model: LanguageModel = try object(model, "model")
        let special = try findsSpecialTokens(flags)
        return try write(encode(text, length, "text", model, specialTokens: special), to: tokens, capacity, count)
    }
}

/// Encodes `length` bytes of a caller's text.
func encode(
    _ text: UnsafePointer<CChar>?, _ length: Int, _ name: String, _ model: LanguageModel, specialTokens: Bool = true
) throws -> [TokenID] {
    let bytes = try elements(text, length, name)
    // A word of the text's length takes 32 to be merged, see LongPreTokenMerger; while its tokens grow they take 12; its copy 1.
    try reserve(length, times: 48)
    return model.tokenizer.encode(bytes: bytes.map(UInt8.init(bitPattern:)), specialTokens: specialTokens)
}

@c @implementation
public func phi_detokenize(
    _ model: OpaquePointer?, _ tokens: UnsafePointer<phi_token>?, _ tokenCount: Int, _ flags: UInt32,
    _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ count: UnsafeMutablePointer<Int>?
) -> phi_status {
    status {
        let model: LanguageModel = try object(model, "model")
        let elements = try elements(tokens, tokenCount, "tokens")
        // Their copy, and four bytes of text for each, which are copied too.
        try reserve(tokenCount, times: 12)
        let tokens = Array(elements)
        for token in tokens where token < 0 || Int(token) >= model.config.vocabulary {
            throw SessionError.notAToken(token, vocabulary: model.config.vocabulary)
        }
        let length = tokens.reduce(0) { $0 + model.tokenizer.vocabulary.bytes(of: $1).count }
        try reserve(length, times: 3)
        let bytes = model.tokenizer.decodeBytes(tokens, skipSpecial: !(try findsSpecialTokens(flags)))
        return try write(bytes.map(CChar.init(bitPattern:)), to: text, capacity, count)
    }
}

private func findsSpecialTokens(_ flags: UInt32) throws -> Bool {
    guard flags <= 1 else { throw Failure.argument("flags must be 0 or PHI_SPECIAL_TOKENS, got \(flags)") }
    return flags == 1
}
