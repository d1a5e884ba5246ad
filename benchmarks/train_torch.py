"""The rival of ``train.py`` in PyTorch; it runs in an environment of its own, without cnnlab.

It gets a JSON object as its argument: ``root`` (folder of class folders), ``network``
(``reference`` or ``resnet18``), ``size``, ``batch``, ``cores``, ``bfloat16``, ``flip``,
``rotation`` (degrees), ``zoom``, ``brightness``, ``filters``, ``dense_units``, ``dropout``, ``l2``
and ``rate``. It then answers requests as ``train.py`` describes.

Settings are those that PyTorch's guides name for a processor: channels last, oneDNN (its default),
a thread a core, fused Adam, persistent loader processes: as many of ``WORKERS`` as were fastest in
a few batches before. The penalty is Adam's weight decay, which costs less than a term of the loss.
"""

import json
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.transforms import v2

WORKERS = (0, 2)  # processes of the loader; 0: the training's own
TRIED = 6  # batches that decide between them


def reference(asked: dict[str, Any], classes: int) -> nn.Module:
    """Return cnnlab's reference network; softmax is part of the loss."""
    layers: list[nn.Module] = []
    before = 3
    for filters in asked["filters"]:
        layers += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU(inplace=True),
                   nn.BatchNorm2d(filters), nn.MaxPool2d(2)]  # fmt: skip
        before = filters
    features = before * (asked["size"] // 2 ** len(asked["filters"])) ** 2
    layers += [nn.Flatten(), nn.Linear(features, asked["dense_units"]), nn.ReLU(inplace=True),
               nn.Dropout(asked["dropout"]), nn.Linear(asked["dense_units"], classes)]  # fmt: skip
    return nn.Sequential(*layers)


class Held(torch.utils.data.Dataset):
    """Images decoded and resized once: uint8 in memory, transformed anew at each use."""

    def __init__(self, folder: torchvision.datasets.ImageFolder, size: int, transform: Any) -> None:
        resize = v2.Resize((size, size), antialias=True)
        self._images = [resize(v2.functional.pil_to_tensor(image)) for image, _ in folder]
        self._labels, self._transform = folder.targets, transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self._transform(self._images[row]), self._labels[row]


class Training:
    """A network and its loaders; ``epoch`` trains it for one."""

    def __init__(self, asked: dict[str, Any]) -> None:
        torch.manual_seed(0)
        torch.set_flush_denormal(True)  # as TensorFlow does; else a few tiny weights cost tenfold
        torch.set_num_threads(asked["cores"])
        self._asked, size = asked, asked["size"]
        augment = [
            v2.RandomHorizontalFlip(asked["flip"] / 2),
            v2.RandomAffine(
                asked["rotation"],
                scale=(1 - asked["zoom"], 1 + asked["zoom"]),
                interpolation=v2.InterpolationMode.BILINEAR,
            ),
            v2.ColorJitter(brightness=asked["brightness"]),
        ]
        decode = v2.Compose([v2.PILToTensor(), v2.Resize((size, size), antialias=True), *augment])
        root = Path(asked["root"])
        files = torchvision.datasets.ImageFolder(root, decode)
        held = Held(torchvision.datasets.ImageFolder(root), size, v2.Compose(augment))
        self._images = {"files": files, "prepared": held}
        classes = len(files.classes)
        if asked["network"] == "resnet18":
            model = torchvision.models.resnet18(num_classes=classes)
        else:
            model = reference(asked, classes)
        self._model = model.to(memory_format=torch.channels_last).train()
        self._optimizer = torch.optim.Adam(
            model.parameters(), asked["rate"], weight_decay=2 * asked["l2"], fused=True
        )
        self._loss = nn.CrossEntropyLoss()
        self._loaders = {source: self._fastest(source) for source in self._images}

    def _loader(self, source: str, workers: int) -> torch.utils.data.DataLoader:
        more = {"persistent_workers": True} if workers else {}
        return torch.utils.data.DataLoader(
            self._images[source], self._asked["batch"], shuffle=True, num_workers=workers, **more
        )

    def _fastest(self, source: str) -> torch.utils.data.DataLoader:
        found = []
        for workers in WORKERS:
            loader = self._loader(source, workers)
            self._train(loader, 1)  # starts the processes, allocates
            began = time.perf_counter()
            self._train(loader, TRIED)
            found.append((time.perf_counter() - began, workers))
            del loader  # ends its processes
        loader = self._loader(source, min(found)[1])
        self._train(loader, 1)
        return loader

    def epoch(self, source: str) -> float:
        """Train on every image once; return the mean loss."""
        return self._train(self._loaders[source])

    def _train(self, loader: torch.utils.data.DataLoader, most: int | None = None) -> float:
        # The accuracy is not returned, but counted: the others' metrics cost them the same.
        total, right, images = torch.zeros(()), torch.zeros(()), 0
        for pixels, labels in islice(loader, most):
            pixels = pixels.to(memory_format=torch.channels_last, dtype=torch.float32) / 255
            with torch.autocast("cpu", torch.bfloat16, enabled=self._asked["bfloat16"]):
                scores = self._model(pixels)
                loss = self._loss(scores, labels)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            total += loss.detach() * len(labels)
            right += (scores.detach().argmax(dim=1) == labels).sum()
            images += len(labels)
        return float(total / images)

    def settings(self) -> dict[str, Any]:
        """Return what was chosen."""
        return {f"workers_{name}": each.num_workers for name, each in self._loaders.items()}


def main() -> None:
    training = Training(json.loads(sys.argv[1]))
    about = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    print("@" + json.dumps(about | training.settings()), flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        loss = training.epoch(line.strip())
        print("@" + json.dumps({"seconds": time.perf_counter() - began, "loss": loss}), flush=True)


if __name__ == "__main__":
    main()
