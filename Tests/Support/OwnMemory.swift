import Foundation

/// The most memory that this process has had, which Linux hands down to the programs that it starts.
package func ownPeakMemory() -> Int {
    var usage = rusage()
    getrusage(0, &usage)  // RUSAGE_SELF, which Glibc and Darwin import as different types
    return Int(usage.ru_maxrss) * maxrssUnit
}

/// Bytes in a unit of `ru_maxrss`.
#if canImport(Darwin)
    let maxrssUnit = 1
#else
    let maxrssUnit = 1024
#endif
