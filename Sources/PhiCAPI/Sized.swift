import CPhi

/// A C structure that begins with its size in the caller's version of phi.h.
protocol Sized {
    var size: Int { get set }
    /// The size in version 0.1, the smallest that a caller may pass.
    static var firstSize: Int { get }
    /// The values of the structure's INIT macro.
    static var initial: Self { get }
}

extension Sized {
    /// Copies the caller's structure. Fields missing in the caller's version are as in ``initial``; fields missing in
    /// this version must be zero.
    init(_ pointer: UnsafePointer<Self>?, _ name: String) throws {
        self = .initial
        guard let pointer else { return }
        let size = try Self.size(of: pointer, name)
        let known = min(size, MemoryLayout<Self>.size)
        let bytes = UnsafeRawBufferPointer(start: pointer, count: size)
        guard bytes[known...].allSatisfy({ $0 == 0 }) else {
            throw Failure.argument("\(name) has fields that this version of the library does not know")
        }
        withUnsafeMutableBytes(of: &self) { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<known])) }
        self.size = MemoryLayout<Self>.size
    }

    /// Throws ``Failure`` when ``write(to:_:)`` would.
    static func check(_ pointer: UnsafeMutablePointer<Self>?, _ name: String) throws {
        _ = try size(of: UnsafePointer(try given(pointer, name)), name)
    }

    /// Writes the fields of the caller's version to `pointer`.
    func write(to pointer: UnsafeMutablePointer<Self>?, _ name: String) throws {
        let pointer = try given(pointer, name)
        let size = try Self.size(of: UnsafePointer(pointer), name)
        var copy = self
        copy.size = size
        withUnsafeBytes(of: copy) { bytes in
            UnsafeMutableRawBufferPointer(start: pointer, count: size)
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(size)))
        }
    }

    /// The size in the caller's version.
    private static func size(of pointer: UnsafePointer<Self>, _ name: String) throws -> Int {
        let size = UnsafeRawPointer(pointer).load(as: Int.self)
        guard (firstSize...4096).contains(size) else {
            throw Failure.argument("\(name) has a size of \(size); set it by its INIT macro")
        }
        return size
    }
}

extension phi_model_info: Sized {
    static var firstSize: Int { 56 }
    static var initial: phi_model_info {
        var info = phi_model_info()
        info.size = MemoryLayout<phi_model_info>.size
        return info
    }
}

extension phi_session_options: Sized {
    static var firstSize: Int { 24 }
    static var initial: phi_session_options {
        phi_session_options(
            size: MemoryLayout<phi_session_options>.size, context: 0, threads: 0, cache: PHI_CACHE_BY_MODEL,
            no_speculation: 0, draft_corpus: nil, draft_corpus_count: 0, draft_model: nil)
    }
}

extension phi_generation_options: Sized {
    static var firstSize: Int { 96 }
    static var initial: phi_generation_options {
        var options = phi_generation_options()
        options.size = MemoryLayout<phi_generation_options>.size
        options.maximum_tokens = -1
        options.top_p = 1
        options.repeat_penalty = 1
        options.log_probabilities = -1
        return options
    }
}

extension phi_piece: Sized {
    static var firstSize: Int { 56 }
    static var initial: phi_piece {
        var piece = phi_piece()
        piece.size = MemoryLayout<phi_piece>.size
        piece.log_probability = .nan
        return piece
    }
}
