"""What pictures show, read from their artists: matplotlib's own objects, not pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from prunesearch.animate.connections import Chain, alive
from prunesearch.animate.filters import FADED, Filters, _mosaic
from prunesearch.animate.frames import Film, Scene
from prunesearch.animate.network import Network
from prunesearch.animate.scenes import scene
from prunesearch.animate.weights import Weights
from prunesearch.errors import UsageError
from prunesearch.recordings import Draft, Recording
from prunesearch.recordings.writing import INDEX, checksum
from prunesearch.results import EpochRow
from tests.recordings.made import about, cnn_recording, mlp_recording, wide_recording


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return mlp_recording(tmp_path_factory.mktemp("animate") / "mlp")


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return cnn_recording(tmp_path_factory.mktemp("animate") / "cnn")


def artists(figure: Figure, kind: type) -> Iterator[object]:
    return (c for ground in figure.axes for c in ground.collections if isinstance(c, kind))


def edges(figure: Figure) -> int:
    return sum(len(c.get_segments()) for c in artists(figure, LineCollection) if isinstance(c, LineCollection))


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj() if hasattr(t, "get_text")]


def test_removed_edges_are_not_drawn(mlp: Recording) -> None:
    film = Film(mlp, Network(mlp))
    assert [edges(film.figure(at)) for at in range(4)] == [12 + 18, 9 + 18, 6 + 18, 3 + 18]


def test_a_layer_without_any_edge_is_drawn(tmp_path: Path) -> None:
    cut = mlp_recording(tmp_path / "r", epochs=4)
    assert edges(Film(cut, Network(cut)).figure(4)) == 18


def test_units_that_lost_everything_fade(mlp: Recording) -> None:
    at = len(mlp.frames) - 1
    left = mlp.tensors(mlp.frames[at]).left("fc1.weight")
    figure = Film(mlp, Network(mlp)).figure(at)
    nodes = [c for c in artists(figure, PathCollection) if isinstance(c, PathCollection)]
    counts = [(np.allclose(np.asarray(c.get_facecolor())[:1, :3], 1), len(np.asarray(c.get_offsets()))) for c in nodes]
    faded = sum(count for white, count in counts if white)
    assert faded == int((~left.any(axis=0)).sum()) + int((~left.any(axis=1)).sum()) > 0
    assert sum(count for _, count in counts) == 2 + 6 + 3
    assert f"{int(left.any(axis=1).sum())} of 6 units" in texts(figure)


@pytest.mark.parametrize("kind", ["network", "weights"])
def test_the_corner_tells_the_epoch(mlp: Recording, kind: str) -> None:
    film = Film(mlp, scene(kind, mlp))
    assert {"epoch", "1", "loss", "0.5000", "accuracy", "0.6000", "sparsity", "20.0 %"} <= set(texts(film.figure(2)))
    assert "-" in texts(film.figure(0))


def test_nothing_reaches_over_the_edge_or_over_other_words(mlp: Recording, cnn: Recording, tmp_path: Path) -> None:
    deep = mlp_recording(tmp_path / "deep", (200, *[20] * 12, 3), epochs=2, within="encoder.stage1.0.")
    cases = [(r, k) for r in (mlp, cnn, deep) for k in ("network", "weights")]
    for recording, kind in (*cases, (cnn, "filters")):
        figure = Film(recording, scene(kind, recording)).figure(1)
        figure.canvas.draw()
        width, height = figure.get_size_inches() * figure.dpi
        shown = [t for t in figure.texts if t.get_text()]
        boxes = [t.get_window_extent() for t in shown]
        assert shown
        for one, box in zip(shown, boxes, strict=True):
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, (kind, one.get_text())
            over = [t.get_text() for t, other in zip(shown, boxes, strict=True) if t is not one and box.overlaps(other)]
            assert not over, (kind, one.get_text(), over)


def test_wide_layers_are_sampled_and_said(tmp_path: Path) -> None:
    wide = mlp_recording(tmp_path / "r", (200, 70, 3), epochs=1)
    shown = Network(wide)
    assert any("64 of 200 (input), 64 of 70 (fc1)" in note for note in shown.notes)
    figure = Film(wide, shown).figure(0)
    assert edges(figure) == 64 * 64 + 64 * 3
    assert {"200 units", "70 units", "3 units"} <= set(texts(figure))
    assert any("64 of 200" in text for text in texts(figure))


def test_a_recorded_sample_is_said(tmp_path: Path) -> None:
    large = mlp_recording(tmp_path / "r", (200, 70, 3), epochs=1, params=2_000_000)
    assert any("sample" in note for note in Weights(large).notes)
    figure = Film(large, Network(large)).figure(0)
    assert "64 units (sample)" in texts(figure)
    assert edges(figure) == 64 * 64 + 64 * 3


def lives(recording: Recording, at: int) -> list[NDArray[np.bool_]]:
    chain = Chain.of(recording)
    return alive(chain, chain.links(recording, recording.tensors(recording.frames[at])))


def test_units_of_a_sample_live_by_all_their_weights(tmp_path: Path) -> None:
    whole, sample = wide_recording(tmp_path / "w", 0), wide_recording(tmp_path / "s", 2_000_000)
    columns = Chain.of(sample).columns
    assert [(c.units, len(c.known)) for c in columns] == [(3, 3), (300, 64), (300, 64), (200, 64), (10, 10)]
    for at in range(2):
        for column, one, all_of_it in zip(columns, lives(sample, at), lives(whole, at), strict=True):
            np.testing.assert_array_equal(one, all_of_it[column.known], column.name)
    left = [int(found.sum()) for found in lives(sample, 1)]
    assert all(0 < count < 64 for count in left[1:-1])
    assert {f"{count} of 64 units (sample)" for count in left[1:-1]} <= set(texts(Film(sample, Network(sample)).figure(1)))


def test_a_sample_of_before_its_units_were_recorded_is_drawn(tmp_path: Path) -> None:
    new = wide_recording(tmp_path / "r", 2_000_000)
    file = tmp_path / "r" / new.states[1].file
    save_file({name: t for name, t in load_file(file).items() if not name.startswith(("rows/", "columns/"))}, file)
    index = tmp_path / "r" / INDEX
    index.write_text(index.read_text().replace(new.states[1].sha256, checksum(file)))
    old = Recording.read(tmp_path / "r")
    assert not old.tensors(old.states[1]).sides
    for one, before in zip(lives(new, 0), lives(old, 0), strict=True):
        np.testing.assert_array_equal(one, before)
    assert edges(Film(old, Network(old)).figure(1)) > 0


def test_histograms_leave_out_what_is_pruned_and_count_it(mlp: Recording) -> None:
    film = Film(mlp, Weights(mlp))
    figure = film.figure(3)
    assert "3 weights, 9 pruned" in texts(figure)
    assert "18 weights, 0 pruned" in texts(figure)
    bars = [p.get_data().values for ground in figure.axes for p in ground.patches if hasattr(p, "get_data")]
    assert [int(np.sum(v)) for v in bars] == [3, 12, 18, 18], "what is left, then the start, layer by layer"


def test_a_chain_takes_flattened_and_grouped_inputs_together(cnn: Recording) -> None:
    chain = Chain.of(cnn)
    assert [(c.name, c.units) for c in chain.columns] == [("input", 1), ("conv1", 4), ("conv2", 6), ("fc", 3)]
    tensors = cnn.tensors(cnn.frames[0])
    _, grouped, flat = chain.links(cnn, tensors)
    expected = np.zeros((6, 4), np.bool_)
    expected[:3, :2] = expected[3:, 2:] = True
    np.testing.assert_array_equal(grouped.left | (grouped.weight != 0), np.ones((6, 4), np.bool_) & expected)
    block = tensors.values["fc.weight"].reshape(3, 6, 4)
    np.testing.assert_array_equal(np.abs(flat.weight), np.abs(block).max(axis=2))
    kernel = tensors.values["conv2.weight"][4, 1].ravel()
    assert grouped.weight[4, 3] == kernel[np.abs(kernel).argmax()]
    links = chain.links(cnn, cnn.tensors(cnn.frames[1]))
    assert [lives.tolist() for lives in alive(chain, links)][1] == [True, False, True, True]


def test_removed_filters_keep_a_trace_of_what_they_were(cnn: Recording) -> None:
    sheets = Filters(cnn).sheets
    assert [s.values.shape for s in sheets] == [(2, 4, 1, 3, 3), (2, 6, 2, 3, 3)]
    before, after = _mosaic(sheets[0], 0, 1.0), _mosaic(sheets[0], 1, 1.0)
    np.testing.assert_allclose(after[:3, 4:7], FADED * before[:3, 4:7] + (1 - FADED))
    np.testing.assert_array_equal(after[:3, :3], before[:3, :3])
    assert _mosaic(sheets[1], 1, 1.0)[1, 1].tolist() == [1, 1, 1], "a single weight that is gone is white"
    assert any("3 of 4 filters left" in text for text in texts(Film(cnn, Filters(cnn)).figure(1)))


@pytest.mark.parametrize("params", [0, 2_000_000], ids=["whole", "sample"])
def test_filters_are_counted_by_all_their_channels_and_not_by_those_that_are_drawn(tmp_path: Path, params: int) -> None:
    """Of 100 filters of 80 channels 30 have lost everything, and the others everything but their last channel."""
    weight = np.ones((100, 80, 3, 3), np.float32)
    mask = np.zeros(weight.shape, np.bool_)
    mask[30:, -1] = True
    with Draft(tmp_path / "r", params) as draft:
        draft.add("initial", -1, None, {"conv.weight": weight}, {})
        draft.add("epoch", 0, EpochRow(0, 1.0, 0.5, 1e-3, 0.1, 0.1), {"conv.weight": weight * mask}, {"conv.weight": mask})
        draft.close(about([{"name": "conv", "weight": "conv.weight", "conv": True}], "made-wide-cnn"))
    film = Film(made := Recording.read(tmp_path / "r"), Filters(made))
    assert any(text.startswith("100 filters, ") for text in texts(film.figure(0)))
    assert any(text.startswith("70 of 100 filters left, ") for text in texts(film.figure(1)))


def test_a_network_without_convolutions_has_no_filters(mlp: Recording) -> None:
    with pytest.raises(UsageError, match="no two-dimensional convolution"):
        scene("filters", mlp)


def test_scenes_keep_their_shape_over_the_frames(cnn: Recording) -> None:
    for kind in ("network", "weights", "filters"):
        shown: Scene = scene(kind, cnn)
        images = [Film(cnn, shown, 451).image(at) for at in range(2)]
        assert images[0].shape == images[1].shape
        assert images[0].shape[0] % 2 == images[0].shape[1] % 2 == 0
        assert images[0].shape[1] == 452
        assert (images[0] != images[1]).any()
