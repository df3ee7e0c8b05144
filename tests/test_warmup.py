"""The loops are compiled once; after that warming up is quick and silent."""

from __future__ import annotations

import pytest

from ezarchive.warmup import is_compiled, warm_up, warm_up_association, warm_up_quicklook


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_second_time_is_quick_and_says_nothing(dtype: str, capsys: pytest.CaptureFixture[str]) -> None:
    warm_up(dtype)
    capsys.readouterr()
    assert warm_up(dtype) < 2.0
    assert capsys.readouterr().out == ""


def test_so_is_that_of_the_association(capsys: pytest.CaptureFixture[str]) -> None:
    warm_up_association()
    assert is_compiled("associate")
    capsys.readouterr()
    assert warm_up_association() < 2.0
    assert capsys.readouterr().out == ""


def test_so_is_that_of_the_quick_look(capsys: pytest.CaptureFixture[str]) -> None:
    warm_up_quicklook()
    assert is_compiled("quicklook")
    capsys.readouterr()
    assert warm_up_quicklook() < 2.0
    assert capsys.readouterr().out == ""


def test_a_long_wait_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ezarchive.warmup._PATIENCE", 0.0)
    monkeypatch.setattr("ezarchive.warmup.measure_image", lambda *args: __import__("time").sleep(0.3))
    assert warm_up() >= 0.3
    assert "compiling the measuring loops" in capsys.readouterr().out


def test_what_is_compiled_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert not is_compiled()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "kernels_sources.measure-56.py311.nbi").touch()
    assert is_compiled()
