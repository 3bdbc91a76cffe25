/// The version of swift-phi, as `phi --version` prints it and `.phi` files record it.
public let swiftPhiVersion = "0.1.0"
