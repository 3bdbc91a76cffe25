import CPhi

/// A C structure that begins with its size in bytes, as the caller knows it.
protocol Sized {
    /// The size.
    var size: Int { get set }
    /// What the structure's macro sets.
    static var initial: Self { get }
}

extension Sized {
    /// The caller's structure. Fields that the caller's version does not have are as in ``initial``; those that this version
    /// does not have must be zero.
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

    /// Writes as much as the caller's version has of it to `pointer`.
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

    /// The size that the caller gave. No version is smaller than the first, and none a page larger.
    private static func size(of pointer: UnsafePointer<Self>, _ name: String) throws -> Int {
        let size = UnsafeRawPointer(pointer).load(as: Int.self)
        guard (MemoryLayout<Self>.size...4096).contains(size) else {
            throw Failure.argument("\(name) has a size of \(size); set it by its INIT macro")
        }
        return size
    }
}

extension phi_model_info: Sized {
    static var initial: phi_model_info {
        var info = phi_model_info()
        info.size = MemoryLayout<phi_model_info>.size
        return info
    }
}

extension phi_session_options: Sized {
    static var initial: phi_session_options {
        phi_session_options(
            size: MemoryLayout<phi_session_options>.size, context: 0, threads: 0, cache: PHI_CACHE_BY_MODEL, reserved: 0
        )
    }
}

extension phi_generation_options: Sized {
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
    static var initial: phi_piece {
        var piece = phi_piece()
        piece.size = MemoryLayout<phi_piece>.size
        piece.log_probability = .nan
        return piece
    }
}
