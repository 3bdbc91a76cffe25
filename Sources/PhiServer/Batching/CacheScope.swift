import PhiFormat

/// The requests whose sequences may share prefixes: those of one API key with the same salts. So neither the count of cached tokens
/// nor the time tells a client about prompts of others.
package struct CacheScope: Hashable, Sendable {
    /// The digest of the API key; nil where none is needed.
    package let key: SHA256Digest?
    /// Further strings that must be equal, such as the field `cache_salt`.
    let salts: [String]

    package init(key: SHA256Digest? = nil, salts: [String] = []) { (self.key, self.salts) = (key, salts) }
}

/// What a cache of prefixes holds.
protocol CachedPrefix {
    associatedtype Owner: Hashable
    /// The API key that it belongs to.
    var owner: Owner { get }
    var bytes: Int { get }
    /// The greater, the later.
    var lastUse: Int { get }
}

extension Array where Element: CachedPrefix {
    /// Bytes of all; at most the largest number.
    var bytes: Int { reduce(0) { $0.added($1.bytes) } }

    /// The least recently used prefix of the owner with the most bytes, which leaves a full cache next: what lies below an equal
    /// share, others cannot push out.
    var nextToLeave: Int? {
        let totals = reduce(into: [:]) { $0[$1.owner] = ($0[$1.owner] ?? 0).added($1.bytes) }
        let most = totals.values.max()
        return indices.filter { totals[self[$0].owner] == most }.min { self[$0].lastUse < self[$1].lastUse }
    }
}

extension Int {
    /// The sum, or the largest number if it is beyond: sparse files may have any size.
    fileprivate func added(_ other: Int) -> Int {
        let (sum, isTooLarge) = addingReportingOverflow(other)
        return isTooLarge ? .max : sum
    }
}
