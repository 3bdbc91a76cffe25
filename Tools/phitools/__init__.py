"""Python tools of swift-phi: an independent `.phi` reader, sample files, seeded checkpoints, data, training."""
