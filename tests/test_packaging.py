"""The wheel: built, installed into an empty environment, and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def run(*command, cwd=None):
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_wheel_works_in_a_clean_environment(tmp_path: Path):
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, REPOSITORY)
    (wheel,) = tmp_path.glob("ezarchive-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"ezarchive/_schema/env.py", "ezarchive/frames/instruments.toml"} <= names
    assert any(name.startswith("ezarchive/_schema/versions/0001") for name in names)
    assert not [name for name in names if name.split("/")[0] in {"schema", "tests", "scripts"}]

    environment = tmp_path / "env"
    run(sys.executable, "-m", "venv", environment)
    run(environment / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    command = environment / "bin/ezarchive"
    assert "ezarchive, version" in run(command, "--version")
    (tmp_path / "tree").mkdir()
    run(command, "init", "home", "--root", "scidata=tree", cwd=tmp_path)
    assert "0 new" in run(command, "index", "home", cwd=tmp_path)
    assert run(command, "sql", "home", "SELECT count(*) AS n FROM frames", "--format", "csv", cwd=tmp_path).split() == ["n", "0"]
    assert "Usage" in run(environment / "bin/python", "-m", "ezarchive", "--help", cwd=tmp_path)
