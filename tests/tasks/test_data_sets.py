"""Built-in data: embedded sets, torchvision's archives, arrays and folders of one's own."""

from __future__ import annotations

import gzip
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from prunesearch.errors import MissingDataError, TaskError
from prunesearch.tasks import load_task
from prunesearch.tasks.catalogue import DATA
from prunesearch.tasks.downloaded import image_set
from prunesearch.tasks.embedded import embedded_set

EMBEDDED = ("digits", "iris", "moons", "circles")


def arrays(path: Path, **held: Any) -> str:
    np.savez(path, **held)
    return str(path)


def images(folder: Path, sizes: dict[str, int]) -> None:
    for number, (name, count) in enumerate(sizes.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.full((20, 30, 3), 60 * number + i, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_sets_are_split_by_seed_and_stratified(name: str) -> None:
    (x, y), (x_test, y_test) = embedded_set(name, 3)
    again, other = embedded_set(name, 3), embedded_set(name, 4)
    assert torch.equal(x, again[0][0]) and not torch.equal(x, other[0][0])
    assert x.shape[1:] == x_test.shape[1:] == DATA[name].shape
    assert len(x_test) == math.ceil(0.2 * (len(x) + len(x_test)))
    share, share_test = (torch.bincount(t).double() / len(t) for t in (y, y_test))
    assert torch.allclose(share, share_test, atol=0.02)
    assert len(share) == DATA[name].classes


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_sets_take_any_seed(name: str) -> None:
    (x, _), _ = embedded_set(name, 2**32 + 3)
    assert torch.equal(x, embedded_set(name, 3)[0][0])


def test_digits_hold_scikit_learns_scans() -> None:
    (x, _), (x_test, _) = embedded_set("digits", 0)
    ours = torch.cat([x, x_test]).double().sum() / 255 * 16
    assert ours == pytest.approx(load_digits().data.sum(), rel=1e-3)


def test_iris_is_standardised_by_its_training_part() -> None:
    (x, _), (x_test, _) = embedded_set("iris", 0)
    assert torch.allclose(x.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(x.std(0, correction=0), torch.ones(4), atol=1e-5)
    assert x_test.mean(0).abs().max() > 1e-4


def test_missing_data_is_told_with_the_folder_where_it_belongs(tmp_path: Path) -> None:
    for name, folder in (("mnist", "MNIST/raw"), ("fashion", "FashionMNIST/raw"), ("cifar10", "cifar-10-batches-py")):
        with pytest.raises(MissingDataError, match="downloads are off") as error:
            image_set(name, str(tmp_path), download=False)
        assert str(tmp_path / folder) in (error.value.hint or "") and "PRUNESEARCH_DATA" in (error.value.hint or "")


def test_the_environment_names_the_folder_and_forbids_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESEARCH_DATA", str(tmp_path / "here"))
    monkeypatch.setenv("PRUNESEARCH_DOWNLOAD", "0")
    with pytest.raises(MissingDataError, match="here, and downloads are off"):
        load_task("mnist-lenet5")


def test_broken_archives_are_missing_data(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte.gz").write_bytes(gzip.compress(b"nothing"))
    with pytest.raises(MissingDataError):
        image_set("mnist", str(tmp_path), download=False)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(b"nothing")
    with pytest.raises(MissingDataError):
        image_set("mnist", str(tmp_path), download=False)


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_archives_that_lie_there_are_unpacked_without_a_download(data_dir: Path, name: str) -> None:
    (x, _), (x_test, y_test) = image_set(name, str(data_dir), download=False)
    assert (tuple(x.shape), tuple(x_test.shape), x.dtype) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28), torch.uint8)
    assert torch.bincount(y_test)[:3].tolist() == {"mnist": [980, 1135, 1032], "fashion": [1000, 1000, 1000]}[name]
    task = load_task(f"{name}-lenet300", data_dir=str(data_dir))
    assert task.normalize is not None
    mean, std = task.normalize
    pixels = x.double() / 255
    assert float(pixels.mean()) == pytest.approx(mean[0], abs=1e-3)
    assert float(pixels.std()) == pytest.approx(std[0], abs=1e-3)


@pytest.mark.data
def test_one_channel_becomes_three_for_torchvisions_networks(data_dir: Path) -> None:
    task = load_task("mnist-torchvision.resnet18", data_dir=str(data_dir))
    assert isinstance(task.train, tuple) and task.train[0].shape == (60_000, 3, 28, 28)
    assert task.normalize is not None and len(task.normalize[0]) == 3
    assert task.model().eval()(torch.zeros(1, 3, 28, 28)).shape == (1, 10)


def test_a_folder_that_cannot_be_unpacked_into_is_told(tmp_path: Path, archives: Path) -> None:
    shutil.copytree(archives / "MNIST" / "raw", tmp_path / "MNIST" / "raw", ignore=shutil.ignore_patterns("*-ubyte"))
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").mkdir()
    with pytest.raises(MissingDataError, match="data set 'mnist' is not in"):
        image_set("mnist", str(tmp_path), download=False)


@pytest.mark.parametrize(
    ("shape", "dtype", "network", "seen"),
    [
        ((20, 5), np.float64, "mlp-8", (5,)),
        ((20, 8, 8), np.uint8, "mlp", (1, 8, 8)),
        ((20, 28, 28, 1), np.uint8, "lenet5", (1, 28, 28)),
        ((20, 3, 32, 32), np.float32, "resnet8", (3, 32, 32)),
        ((20, 32, 32, 3), np.uint8, "vgg16", (3, 32, 32)),
    ],
)
def test_arrays_of_ones_own(tmp_path: Path, shape: tuple[int, ...], dtype: Any, network: str, seen: tuple[int, ...]) -> None:
    x, y = np.random.default_rng(0).integers(0, 255, shape).astype(dtype), np.arange(20) % 4
    task = load_task(arrays(tmp_path / "mine.npz", x=x, y=y, x_test=x[:5], y_test=y[:5]) + f":{network}")
    assert isinstance(task.train, tuple) and task.train[0].shape[1:] == seen
    assert task.train[0].dtype == (torch.uint8 if dtype == np.uint8 else torch.float32)
    assert task.val is None and task.test is not None
    batch = task.train[0][:2].float()
    assert task.model().eval()(batch).shape == (2, 4)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no training part": ({"a": np.zeros(3)}, "holds a"),
    "rows that differ": ({"x_train": np.zeros((3, 2)), "y_train": np.zeros(4, int)}, "x_train and y_train must both"),
    "targets that are no classes": ({"x": np.zeros((3, 2)), "y": np.zeros(3)}, "class numbers"),
    "negative classes": ({"x": np.zeros((3, 2)), "y": np.array([0, -1, 1])}, "class numbers"),
    "one-hot targets": ({"x": np.zeros((3, 2)), "y": np.eye(3, dtype=int)}, "class numbers"),
    "numbers that are no arrays": ({"x": np.array(1.0), "y": np.array(1)}, "as many rows"),
    "words": ({"x": np.array(["a", "b"]), "y": np.array([0, 1])}, "must be numbers"),
    "objects": ({"x": np.array([{}, {}], dtype=object), "y": np.array([0, 1])}, "allow_pickle"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_arrays_that_do_not_fit_are_told(tmp_path: Path, name: str) -> None:
    held, told = BROKEN[name]
    with pytest.raises(TaskError, match=told):
        load_task(arrays(tmp_path / "mine.npz", **held))


def test_a_missing_or_damaged_file_of_arrays_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="No such file"):
        load_task(str(tmp_path / "none.npz"))
    (tmp_path / "bad.npz").write_bytes(b"not a zip")
    with pytest.raises(TaskError, match=r"bad\.npz"):
        load_task(str(tmp_path / "bad.npz"))
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(TaskError, match=r"empty\.npz: No data left"):
        load_task(str(tmp_path / "empty.npz"))
    np.save(tmp_path / "one.npy", np.zeros((4, 2)))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(TaskError, match=r"one\.npz: holds one array without a name"):
        load_task(str(tmp_path / "one.npz"))
    whole = Path(arrays(tmp_path / "whole.npz", x=np.zeros((40, 2)), y=np.arange(40))).read_bytes()
    for end in (60, len(whole) // 2, len(whole) - 1):
        (tmp_path / "half.npz").write_bytes(whole[:end])
        with pytest.raises(TaskError, match=r"half\.npz"):
            load_task(str(tmp_path / "half.npz"))


@pytest.mark.parametrize(("network", "told"), [("lenet5", "takes images"), ("resnet9", "6 n"), ("mpl", "did you mean 'mlp'")])
def test_a_network_that_does_not_take_the_arrays_is_told(tmp_path: Path, network: str, told: str) -> None:
    path = arrays(tmp_path / "mine.npz", x=np.zeros((4, 2)), y=np.arange(4))
    if network == "resnet9":
        path = arrays(tmp_path / "mine.npz", x=np.zeros((4, 3, 8, 8)), y=np.arange(4))
    with pytest.raises(TaskError) as error:
        load_task(f"{path}:{network}")
    assert told in f"{error.value.message} {error.value.hint}"


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    images(tmp_path, {"cat": 3, "dog": 2})
    task = load_task(f"{tmp_path}/:torchvision.squeezenet1_1@16")
    assert isinstance(task.train, tuple)
    x, y = task.train
    assert (tuple(x.shape), x.dtype, y.tolist(), task.classes) == ((5, 3, 16, 16), torch.uint8, [0, 0, 0, 1, 1], 2)
    assert x[4].unique().tolist() == [61] and task.normalize is not None


def test_parts_of_a_folder_are_the_splits(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("val", 1), ("test", 2)):
        images(tmp_path / part, {"cat": count, "dog": count})
    task = load_task(f"{tmp_path}:mlp@8")
    sizes = [len(s[1]) for s in (task.train, task.val, task.test) if isinstance(s, tuple)]
    assert sizes == [6, 2, 4]


def test_images_that_do_not_fit_are_decoded_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images(tmp_path, {"cat": 2, "dog": 2})
    resident = load_task(f"{tmp_path}:mlp@8")
    monkeypatch.setattr("prunesearch.tasks.folders.MEMORY_SHARE", 0.0)
    streamed: Any = load_task(f"{tmp_path}:mlp@8").train
    assert isinstance(resident.train, tuple) and resident.normalize is not None
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in resident.normalize)
    assert torch.allclose(streamed[3][0], (resident.train[0][3] / 255 - mean) / std, atol=1e-6)


@pytest.mark.parametrize("left", [0, 20, 60], ids=["empty", "no image", "cut off"])
def test_a_damaged_image_is_named(tmp_path: Path, left: int) -> None:
    images(tmp_path, {"cat": 2, "dog": 2})
    damaged = tmp_path / "dog" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:left])
    with pytest.raises(TaskError, match=str(damaged)) as error:
        load_task(f"{tmp_path}:mlp@8")
    assert error.value.hint == "mend the file or take it out"


def test_folders_without_images_or_with_other_classes_are_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="class"):
        load_task(f"{tmp_path}/")
    images(tmp_path / "train", {"cat": 1, "dog": 1})
    images(tmp_path / "test", {"cat": 1, "cow": 1})
    with pytest.raises(TaskError, match="differ"):
        load_task(f"{tmp_path}/:mlp@8")
