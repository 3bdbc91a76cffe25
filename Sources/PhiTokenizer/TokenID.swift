/// The number of a token: its row in the model's embedding and head, counted from 0.
public typealias TokenID = Int32
