/// A token id: the token's row in the model's embedding and head, from 0.
public typealias TokenID = Int32
