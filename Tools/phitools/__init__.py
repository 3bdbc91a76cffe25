"""Python beside swift-phi: an independent `.phi` reader, sample files, and seeded random checkpoints."""
