import io

import numpy as np
import pytest

from equicoherence.data.npy import ObjectArray, read_npy


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    return stream.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(7, dtype=np.float64),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(3.5, dtype=">f4"),
        np.array(["/a/b/", "/c/é/"]),
        np.array([b"a", b"bc"]),
        np.empty((0, 2), dtype=np.int64),
        np.array([], dtype=np.str_),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_an_array_is_read_as_numpy_reads_it(array):
    for version in ((1, 0), (2, 0)):
        read = read_npy(saved(array, version))
        assert read.dtype == array.dtype
        assert np.array_equal(read, array)
        assert read.shape == array.shape


def test_python_objects_are_refused_without_being_loaded():
    with pytest.raises(ObjectArray, match="pickled"):
        read_npy(saved(np.array(["a", None], dtype=object)))


@pytest.mark.parametrize("length", [0, 5, 11, 100, -1, 10_000])
def test_a_file_of_another_length_is_refused(length):
    data = saved(np.arange(7))
    with pytest.raises(ValueError, match=r"npy|bytes|EOF|header"):
        read_npy(data[:length] if length < len(data) else data + b"x")


def test_other_files_are_quoted():
    with pytest.raises(ValueError, match=r"not a .npy file \(it starts with b'\\xff\\xd8"):
        read_npy(b"\xff\xd8\xff\xe0" * 10)


def test_a_damaged_header_is_a_value_error_whatever_numpy_makes_of_it():
    stream = io.BytesIO()
    np.save(stream, np.arange(7.0))
    whole, random = stream.getvalue(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for place in random.integers(10, 100, 3):
            data[place] = random.integers(256)
        try:
            assert isinstance(read_npy(bytes(data)), np.ndarray)
        except ValueError:
            refused += 1
    assert refused > 250  # a change of a space to another space would do no harm
