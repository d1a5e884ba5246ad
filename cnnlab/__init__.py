"""cnnlab: image classification with convolutional networks, measured and shippable.

Importing this package does nothing but name the Keras backend, which Keras reads once,
at its own first import; ``cnnlab.engine`` makes that import.
"""

import os

__version__ = "0.1.0"

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
