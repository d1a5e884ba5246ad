"""A model folder at work: bytes of an image in, a prediction out."""
