from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from prunesearch.recordings.packing import pack, unpack
from prunesearch.recordings.sampling import cut_out, sampled

MASKS = arrays(np.bool_, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))


@given(MASKS)
def test_a_mask_comes_back_from_an_eighth_of_its_bytes(mask: NDArray[np.bool_]) -> None:
    bits = pack(mask)
    assert bits.nbytes == -(-mask.size // 8)
    again = unpack(bits, mask.shape)
    assert again.dtype == np.bool_
    np.testing.assert_array_equal(again, mask)


def test_the_first_weight_is_the_highest_bit() -> None:
    assert pack(np.array([[True, False, False], [False, False, True]])).tolist() == [0b10000100]


@pytest.mark.parametrize("shape", [(8,), (17,), (3, 3, 2)])
def test_bits_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no mask of shape"):
        unpack(pack(np.ones(10, np.bool_)), shape)


@given(st.integers(1, 3000), st.integers(1, 100))
def test_samples_are_of_the_width_alone(width: int, limit: int) -> None:
    found = sampled(width, limit)
    assert len(set(found.tolist())) == len(found) == min(width, limit)
    assert found.tolist() == sorted(found.tolist())
    assert 0 <= found[0] <= found[-1] < width
    np.testing.assert_array_equal(found, sampled(width, limit))


def test_what_one_layer_gives_is_what_the_next_takes() -> None:
    first, second = np.arange(100 * 7).reshape(100, 7), np.arange(3 * 100).reshape(3, 100)
    rows, columns = cut_out(first, 10)[:, 0] // 7, cut_out(second, 10)[0]
    np.testing.assert_array_equal(rows, columns)
    assert cut_out(np.zeros((9, 20, 3, 3)), 10).shape == (9, 10, 3, 3)
