"""Where figures go."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ezarchive import config, plots
from ezarchive.browse.pictures import finish, outside_roots
from ezarchive.errors import InputError


@pytest.mark.pure
def test_figures_keep_out_of_data_roots(tmp_path):
    handle = SimpleNamespace(settings=config.Settings(roots={"scidata": {"path": tmp_path / "sci"}}))
    assert outside_roots(tmp_path / "a.png", handle) == tmp_path / "a.png"
    assert outside_roots(str(tmp_path / "sci" / "a.png"), None) == tmp_path / "sci" / "a.png"
    with pytest.raises(InputError, match="folder=.*must not lie in data root 'scidata'"):
        outside_roots(tmp_path / "x" / ".." / "sci" / "a.png", handle, "folder")


@pytest.mark.pure
def test_a_figure_gets_its_size_and_its_file(tmp_path):
    figure = plots.image(np.zeros((5, 5)))
    assert finish(figure, None, figsize=(4, 3), save_path=tmp_path / "a.svg", close_fig=True) is figure
    assert figure.get_size_inches().tolist() == [4, 3]
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
