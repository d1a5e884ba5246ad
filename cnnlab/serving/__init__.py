"""A model folder at work: bytes of an image in, an answer out."""
