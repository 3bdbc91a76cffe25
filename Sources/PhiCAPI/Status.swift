import CPhi
import Phi
import PhiFormat

/// An error for a C caller.
struct Failure: Error {
    let status: phi_status
    let message: String

    init(_ status: phi_status, _ message: String) {
        self.status = status
        self.message = message
    }

    /// An invalid argument.
    static func argument(_ message: String) -> Failure { Failure(PHI_ERROR_ARGUMENT, message) }

    init(_ error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as SessionError: self.init(error.status, error.description)
        case let error as FormatError: self.init(PHI_ERROR_FILE, error.description)
        case let error as KernelsError: self.init(PHI_ERROR_MACHINE, error.description)
        case let error as SnapshotError: self.init(PHI_ERROR_SNAPSHOT, error.description)
        case let error as OptionError: self.init(PHI_ERROR_ARGUMENT, error.description)
        case is CancellationError: self.init(PHI_ERROR_CANCELLED, "cancelled")
        default: self.init(PHI_ERROR_ARGUMENT, "\(error)")
        }
    }
}

extension SessionError {
    fileprivate var status: phi_status {
        switch self {
        case .contextOutOfRange, .threadsOutOfRange, .otherTokenizer, .tooManySessions, .sessionOfAnotherEngine,
            .repeatedSession:
            PHI_ERROR_ARGUMENT
        case .doesNotFit, .contextFull: PHI_ERROR_CONTEXT
        case .noMemory, .noThread: PHI_ERROR_MEMORY
        case .notAToken, .noTokenFits: PHI_ERROR_TOKEN
        case .superseded: PHI_ERROR_STATE
        }
    }
}

/// Returns the status that `body` returns, or that of the error it throws, whose message becomes the thread's.
///
/// Arithmetic is IEEE's default meanwhile, whatever the caller has set.
func status(_ body: () throws -> phi_status) -> phi_status {
    do {
        return try withDefaultFloats(body)
    } catch {
        let failure = Failure(error)
        // Paths and names in it can be anything.
        var message = failure.message.printable
        message.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { phi_set_error_message($0.baseAddress, $0.count) }
        }
        return failure.status
    }
}

/// Returns `pointer`, or throws an error naming it if it is nil.
func given<Pointer>(_ pointer: Pointer?, _ name: String) throws -> Pointer {
    guard let pointer else { throw Failure.argument("\(name) is NULL") }
    return pointer
}

/// The `count` elements from `start`, which may be NULL if there are none.
func elements<Element>(
    _ start: UnsafePointer<Element>?, _ count: Int, _ name: String
) throws -> UnsafeBufferPointer<Element> {
    guard count >= 0 else { throw Failure.argument("the count of \(name) is too large") }
    return UnsafeBufferPointer(start: count == 0 ? nil : try given(start, name), count: count)
}

/// A caller's string, which must be UTF-8.
func utf8(_ start: UnsafePointer<CChar>, _ name: String) throws -> String {
    guard let text = String(validatingCString: start) else { throw Failure.argument("\(name) is not UTF-8") }
    return text
}

/// Throws an error unless the system has memory for `count` times `bytes` now. Swift ends the process where an array finds none, so this
/// comes before arrays whose size the caller chooses.
func reserve(_ count: Int, times bytes: Int) throws {
    let (size, isTooLarge) = count.multipliedReportingOverflow(by: bytes)
    guard !isTooLarge else { throw SessionError.noMemory(.max) }
    // Of less there must be enough.
    if size > 1 << 20 { _ = try Buffer<UInt8>(size) }
}

/// A caller's size_t as Int; larger values, such as PHI_ALL, become Int.max.
func number(_ count: Int) -> Int { count < 0 ? .max : count }

/// Sets `count` to the length of `list` and writes it to `out` if `capacity` suffices.
func write<Element: BitwiseCopyable>(
    _ list: some Collection<Element>, to out: UnsafeMutablePointer<Element>?, _ capacity: Int,
    _ count: UnsafeMutablePointer<Int>?
) throws -> phi_status {
    try given(count, "count").pointee = list.count
    guard list.count <= number(capacity) else {
        throw Failure(PHI_ERROR_ROOM, "the capacity is \(capacity), \(list.count) elements are needed")
    }
    if !list.isEmpty {
        _ = UnsafeMutableBufferPointer(start: try given(out, "the output"), count: list.count).update(from: list)
    }
    return PHI_OK
}
