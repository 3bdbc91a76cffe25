import PhiFormat

/// The fault that `body` throws, or "" if it throws none.
package func fault(_ body: () throws -> Void) -> String {
    do { try body() } catch let error as FormatError { return error.fault } catch {
        return "not a FormatError: \(error)"
    }
    return ""
}
