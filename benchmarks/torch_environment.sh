#!/bin/sh
# Makes the environment in which benchmarks/train.py runs PyTorch: apart from cnnlab's own, because
# PyTorch brings libraries that cnnlab does not want. On Linux it takes about 5 GB: the package
# needs its GPU libraries even where only the processor is used. Remove it by removing the folder.
#
#     sh benchmarks/torch_environment.sh FOLDER [PYTHON]
#     python benchmarks/train.py --torch FOLDER
set -eu
if [ $# -lt 1 ]; then
    echo "usage: $0 FOLDER [PYTHON]" >&2
    exit 2
fi
"${2:-python3}" -m venv "$1"
"$1/bin/pip" install --upgrade "torch==2.15.0" "torchvision==0.29.2"
"$1/bin/python" -c "import torch, torchvision; print(torch.__version__, torchvision.__version__)"
