"""The model folder: the contract, the files, and what proves that they belong together."""
