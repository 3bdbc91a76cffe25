import Foundation
import Hummingbird

/// The description of a model in responses of `/v1/models`.
private struct ModelDescription: Encodable {
    let id: String
    let object = "model"
    let created: Int
    let owned_by = "swift-phi"
    /// Length of the context in tokens, under vLLM's name.
    let max_model_len: Int

    init(_ model: ServedModel) {
        id = model.name
        created = model.created
        max_model_len = model.context
    }
}

/// The response of `/v1/models`.
private struct ModelList: Encodable {
    let object = "list"
    let data: [ModelDescription]
}

extension Endpoints {
    /// `GET /v1/models`: the list of the one model.
    func models(_ request: Request, _ context: PhiRequestContext) -> Response {
        .json(ModelList(data: [ModelDescription(model)]))
    }

    /// `GET /v1/models/NAME`: the model, if it has that name, which may contain slashes.
    func modelByName(_ request: Request, _ context: PhiRequestContext) throws -> Response {
        let name = context.parameters.getCatchAll().joined(separator: "/")
        try model.check(name: name.removingPercentEncoding)
        return .json(ModelDescription(model))
    }
}
