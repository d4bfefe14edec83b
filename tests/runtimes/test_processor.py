from pathlib import Path

import pytest

from bench.runtimes.processor import flags


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the system does not list its processor's features")
def test_the_flags_are_those_of_this_machine():
    words = Path("/proc/cpuinfo").read_text().split()
    assert flags()
    assert flags() <= set(words)
