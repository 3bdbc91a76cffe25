public typealias TokenID = Int32
