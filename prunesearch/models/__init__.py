"""Networks of the built-in tasks. Each is a function of plain numbers that returns a fresh `torch.nn.Module`."""

from __future__ import annotations

from prunesearch.models.cnn import cnn84, digits_cnn
from prunesearch.models.foreign import torchvision_model
from prunesearch.models.lenet import lenet5
from prunesearch.models.mlp import mlp
from prunesearch.models.resnet import resnet
from prunesearch.models.vgg import vgg16

__all__ = ["cnn84", "digits_cnn", "lenet5", "mlp", "resnet", "torchvision_model", "vgg16"]
