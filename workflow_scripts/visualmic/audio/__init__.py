"""Sound files: reading, writing, sub-sampling and noise reduction."""
