"""What modules share that measure one suite with files of their own."""

import pytest

from bench.study import Study
from tests.suite.documents import write


@pytest.fixture(scope="module")
def folder(request, tmp_path_factory):
    """A folder that the test module's ``fill`` wrote files into, where one works and imports from."""
    made = tmp_path_factory.mktemp("module")
    request.module.fill(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(made)
        patch.chdir(made)
        yield made


@pytest.fixture(scope="module")
def study(request, folder):
    """The test module's ``SUITE``."""
    return Study(write(folder, request.module.SUITE), folder / "store")


@pytest.fixture(scope="module")
def results(study):
    """What it measures."""
    return study.run()
