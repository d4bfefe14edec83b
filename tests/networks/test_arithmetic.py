import pytest
import torch

from bench.networks.arithmetic import arithmetic


def test_threads_and_precision_hold_inside_and_are_restored():
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with arithmetic(3):
            assert torch.get_num_threads() == 3
            assert torch.get_float32_matmul_precision() == "highest"
            with arithmetic(2):
                assert torch.get_num_threads() == 2
            assert torch.get_num_threads() == 3
        assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (before[0], "medium")
    finally:
        torch.set_float32_matmul_precision(before[1])


def test_restored_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="inside"), arithmetic(before + 1):
        raise ValueError("inside")
    assert torch.get_num_threads() == before
