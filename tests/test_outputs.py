"""Raw outputs on disk: every digit comes back, and a damaged file is named with its line."""

import numpy as np
import pytest

from minbert.files import MinbertError
from multitask.outputs import read_outputs, write_outputs


@pytest.mark.parametrize("shape", [(5,), (5, 3), (1,), (1, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_read_is_what_was_written_to_the_last_bit(tmp_path, shape, dtype):
    generator = np.random.default_rng(0)
    outputs = (generator.normal(size=shape) * 10.0 ** generator.integers(-30, 30, shape)).astype(dtype)
    ids = [f"id{index}" for index in range(shape[0])]
    labels = [2.4] * shape[0]
    write_outputs(tmp_path / "sts-dev.csv", ids, labels, outputs)
    found = read_outputs(tmp_path / "sts-dev.csv")
    assert found.ids == ids and found.labels == labels
    assert found.outputs.shape == shape and np.array_equal(found.outputs, outputs), "the numbers were rounded on the way"


def test_the_file_is_what_the_documentation_says(tmp_path):
    write_outputs(tmp_path / "deep" / "sst.csv", ("a", "b"), (3, None), np.array([[0.5, -1], [2, 1e-7]]))
    assert (tmp_path / "deep" / "sst.csv").read_bytes() == b"id,label,output_0,output_1\na,3,0.5,-1.0\nb,,2.0,1e-07\n"
    found = read_outputs(tmp_path / "deep" / "sst.csv")
    assert found.labels == [3, None], "an example without a label has none, not nan and not 0"


def test_an_id_may_repeat_and_hold_any_sign(tmp_path):
    ids = ["a", 'quote " and, comma', "a"]
    write_outputs(tmp_path / "o.csv", ids, [0, 1, 0], np.array([1.0, 2, 3]))
    found = read_outputs(tmp_path / "o.csv")
    assert found.ids == ids and found.labels == [0, 1, 0], "a label of 0 is a label"


def test_not_as_many_labels_or_outputs_as_ids_is_a_programmers_error(tmp_path):
    with pytest.raises(ValueError):
        write_outputs(tmp_path / "o.csv", ["a", "b"], [1], np.array([1.0, 2]))
    with pytest.raises(ValueError):
        write_outputs(tmp_path / "o.csv", ["a", "b"], [1, 1], np.array([1.0, 2, 3]))
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("text, message", [
    ("id,label\na,1\n", "o.csv:1: the header is 'id,label', expected id,label,output_0"),
    ("id,label,output_1\na,1,2\n", "o.csv:1: the header"),
    ("id \t Predicted_Sentiment \na , 1 \n", "o.csv:1: the header"),
    ("", "o.csv:1: the header"),
    ("id,label,output_0\na,1,2\nb,1\n", "o.csv:3: 2 columns, expected 3"),
    ("id,label,output_0\na,1,2,3\n", "o.csv:2: 4 columns, expected 3"),
    ("id,label,output_0\na,1,two\n", "o.csv:2: 'two' is not a number"),
    ("id,label,output_0\na,x,2\n", "o.csv:2: 'x' is not a number"),
    ("id,label,output_0\na,1,nan\n", "o.csv:2: 'nan' is not a number"),
    ("id,label,output_0\na,1,1e999\n", "o.csv:2: '1e999' is not a number"),
    ("id,label,output_0\na,1,1_0\n", "o.csv:2: '1_0' is not a number"),
    ("id,label,output_0\na,1,\n", "o.csv:2: '' is not a number"),
    ("id,label,output_0\n", "o.csv: no examples"),
    ('id,label,output_0\n"a,1,2\n', "o.csv:2: "),
])
def test_a_file_that_is_no_such_table_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "o.csv").write_text(text)
    with pytest.raises(MinbertError) as caught:
        read_outputs(tmp_path / "o.csv")
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MinbertError, match="cannot read .*none.csv"):
        read_outputs(tmp_path / "none.csv")
