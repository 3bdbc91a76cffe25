"""Fine-tuning of any phi in Hugging Face layout on one's own examples, by the trainer in `phitools.train`."""
