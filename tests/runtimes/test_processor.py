from pathlib import Path

import pytest

from bench.runtimes.processor import flags, vnni


def test_a_processor_without_flags_is_not_judged():
    assert vnni(frozenset()) is None
    assert vnni(frozenset({"avx512_vnni"})) is True
    assert vnni(frozenset({"avx2", "sse4_1"})) is False


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the system does not list its processor's features")
def test_the_flags_are_those_of_this_machine():
    words = Path("/proc/cpuinfo").read_text().split()
    assert flags()
    assert flags() <= set(words)
    assert vnni() in (None, bool({"avx512_vnni", "avx_vnni"} & set(words)))
