import Foundation
import Hummingbird
import PhiJSON

extension ServedModel {
    /// The description in responses of `/v1/models`.
    fileprivate var description: JSONObject {
        [
            "id": name, "object": "model", "created": created, "owned_by": "swift-phi",
            "max_model_len": context,  // vLLM's name
        ]
    }
}

extension Endpoints {
    /// `GET /v1/models`: the list of the one model.
    func models(_ request: Request, _ context: PhiRequestContext) -> Response {
        .json(["object": "list", "data": [model.description]] as JSONObject)
    }

    /// `GET /v1/models/NAME`: the model, if it has that name, which may contain slashes.
    func modelByName(_ request: Request, _ context: PhiRequestContext) throws -> Response {
        let name = context.parameters.getCatchAll().joined(separator: "/")
        try model.check(name: name.removingPercentEncoding)
        return .json(model.description)
    }
}
