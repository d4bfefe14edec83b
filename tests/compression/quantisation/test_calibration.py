import numpy as np
import pytest
import torch
from torch import nn

from bench.compression.quantisation.calibration import calibrate, load_states, quantiser_states
from bench.compression.quantisation.graph import quantised_graph
from bench.compression.quantisation.options import Scheme
from bench.errors import UserError


def flat():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()


def values(top, n=256, low=0.0):
    return torch.linspace(low, top, 4 * n).view(n, 1, 2, 2)


def scale_and_zero(x, **options):
    scheme = Scheme(8, 8, per_channel=True, **options)
    module, placed = quantised_graph(flat(), scheme)
    calibrate(module, x, scheme, bias_correction=False)
    state = quantiser_states(module, placed["quantisers"])["activation_quantiser_0"]
    return state["scale"], state["zero_point"]


def test_percentiles_average_over_batches_and_min_max_takes_all():
    """Two batches with ranges 1 and 3: the mean is 2, all is 3."""
    x = torch.cat([values(1.0), values(3.0)])
    assert scale_and_zero(x)[0] == pytest.approx(2 / 255, rel=1e-3)
    assert scale_and_zero(x, calibration="min-max") == (pytest.approx(3 / 255, rel=1e-6), 0)


def test_percentile():
    x = values(1.0)
    assert scale_and_zero(x, percentile=90.0)[0] == pytest.approx(0.9 / 255, rel=1e-2)
    assert scale_and_zero(values(1.0, low=-1.0), percentile=90.0)[0] == pytest.approx(1.6 / 255, rel=1e-2)
    assert scale_and_zero(x, percentile=90.0, activation_symmetric=True)[0] == pytest.approx(0.9 / 128, rel=1e-2)


def test_signed_values_shift_or_widen():
    """From -1 to 3: 256 integers with zero at 64, or 128 on each side of zero."""
    x = values(3.0, low=-1.0)
    assert scale_and_zero(x, calibration="min-max") == (pytest.approx(4 / 255, rel=1e-6), 64)
    assert scale_and_zero(x, calibration="min-max", activation_symmetric=True) == (pytest.approx(3 / 128), 0)
    assert scale_and_zero(x, activation_symmetric=True) == (pytest.approx(3 / 128, rel=1e-3), 0)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4])
def test_least_squares_beats_the_full_range(bits, symmetric):
    x = torch.from_numpy(np.random.default_rng(0).standard_t(3, (300, 1, 2, 2)).astype(np.float32))
    errors = {}
    for calibration in ("min-max", "mse"):
        scheme = Scheme(8, bits, per_channel=True, calibration=calibration, activation_symmetric=symmetric)
        module, _ = quantised_graph(flat(), scheme)
        calibrate(module, x, scheme, bias_correction=False)
        with torch.no_grad():
            errors[calibration] = float((module.activation_quantiser_0(x).value - x).square().mean())
    assert errors["mse"] < 0.8 * errors["min-max"]


@pytest.mark.parametrize("calibration", ["percentile", "min-max", "mse"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("value", [0.0, 0.7, -0.7])
def test_constant_inputs_stay(calibration, symmetric, value):
    x = torch.full((4, 1, 2, 2), value)
    scheme = Scheme(8, 8, per_channel=True, calibration=calibration, activation_symmetric=symmetric)
    module, placed = quantised_graph(flat(), scheme)
    calibrate(module, x, scheme, bias_correction=True)
    quantiser_states(module, placed["quantisers"])
    with torch.no_grad():
        torch.testing.assert_close(module(x), flat()(x), rtol=0.02, atol=0.01)


@pytest.mark.parametrize("calibration", ["percentile", "min-max", "mse"])
def test_overflow_is_refused(calibration):
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    with torch.no_grad():
        module[1].weight.fill_(3e38)
    scheme = Scheme(8, 8, per_channel=True, calibration=calibration)
    made, placed = quantised_graph(module, scheme)

    def states():
        calibrate(made, values(3.0), scheme, bias_correction=False)
        return quantiser_states(made, placed["quantisers"])

    with pytest.raises(UserError, match=r"data.calibration: the values at .* are not finite; check"):
        states()


def test_states_bring_quantisers_back():
    x = values(3.0, low=-1.0)
    for symmetric in (True, False):
        scheme = Scheme(8, 6, per_channel=True, calibration="mse", activation_symmetric=symmetric)
        made, placed = quantised_graph(flat(), scheme)
        calibrate(made, x, scheme, bias_correction=False)
        again, _ = quantised_graph(flat(), scheme)
        load_states(again, quantiser_states(made, placed["quantisers"]))
        with torch.no_grad():
            assert torch.equal(made(x), again(x))
