"""Settings: the file, the environment, the messages."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezarchive import config
from ezarchive.config import (
    CALIBRATION_LAYOUT,
    FILE_NAME,
    TUTORIAL_LAYOUT,
    DatabaseSettings,
    IndexSettings,
    MeasureSettings,
    RootSettings,
    Settings,
    SiteSettings,
    SQLSettings,
    create,
    load,
    root_settings,
    to_toml,
)
from ezarchive.errors import ArchiveExistsError, ConfigError, NotAnArchiveError

NO_ENVIRONMENT: dict[str, str] = {}


def write(home: Path, text: str) -> Path:
    (home / FILE_NAME).write_text(text, encoding="utf-8")
    return home


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    found = load(write(tmp_path, ""), NO_ENVIRONMENT)
    assert found == Settings()
    assert found.database.url == "sqlite:///archive.db"
    assert found.index.settle_seconds == 60
    assert found.sql.memory_gb > 0
    assert found.roots == {}


def test_a_whole_file(tmp_path: Path) -> None:
    text = """
    name = "7DT"
    [database]
    url = "postgresql+psycopg://me@host/db"
    [roots.scidata]
    path = "../data/./sci"
    layout = "{night}/{telname}"
    order = ["header", "path"]
    [roots.scidata.defaults]
    observatory = "7DT"
    gain = 0.78
    [roots.calib]
    path = "/data/calib"
    kind = "calibration"
    [sites.7DT]
    longitude = -70.765
    latitude = -30.47
    [index]
    settle_seconds = 5
    workers = 3
    [measure.options]
    detection_sigma = 5
    [[instruments]]
    name = "mine"
    gain_keyword = "GAINX"
    [[instruments]]
    name = "other"
    """
    found = load(write(tmp_path, text), NO_ENVIRONMENT)
    sci, calib = found.roots["scidata"], found.roots["calib"]
    assert sci.path == tmp_path.parent / "data" / "sci"
    assert (sci.kind, sci.template, sci.order) == ("science", "{night}/{telname}", ("header", "path"))
    assert sci.defaults == {"observatory": "7DT", "gain": 0.78}
    assert (calib.path, calib.template) == (Path("/data/calib"), CALIBRATION_LAYOUT)
    assert found.sites["7DT"] == SiteSettings(longitude=-70.765, latitude=-30.47)
    assert (found.index.settle_seconds, found.index.workers) == (5, 3)
    assert found.measure.options == {"detection_sigma": 5}
    assert [rule["name"] for rule in found.instruments] == ["mine", "other"]


def test_templates() -> None:
    assert RootSettings(path=Path("/x")).template == TUTORIAL_LAYOUT
    assert RootSettings(path=Path("/x"), layout="").template == ""
    assert RootSettings(path=Path("/x"), kind="calibration").template == CALIBRATION_LAYOUT
    assert RootSettings(path=Path("/x"), kind="reference").template == TUTORIAL_LAYOUT


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().name = "x"  # type: ignore[misc]


def test_no_archive(tmp_path: Path) -> None:
    with pytest.raises(NotAnArchiveError, match=r"holds no ezarchive\.toml; `ezarchive init .* makes an archive there"):
        load(tmp_path, NO_ENVIRONMENT)
    with pytest.raises(NotAnArchiveError, match="holds no ezarchive"):
        load(tmp_path / "not there", NO_ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", r"ezarchive\.toml: is not valid TOML: Invalid value"),
        ("nam = 'x'", r"setting 'nam': did you mean 'name'\?"),
        ("[index]\nworkerz = 2", r"setting 'index\.workerz': did you mean 'workers'\?"),
        ("[index]\nworkers = 0", r"setting 'index\.workers': .*greater than or equal to 1, found 0"),
        ("[index]\nworkers = 'many'", r"setting 'index\.workers': .*integer.*found 'many'"),
        ("[roots.a]\npaht = '/x'", r"setting 'roots\.a\.paht': did you mean 'path'\?|setting 'roots\.a\.path': Field required"),
        ("[roots.a]\npath = '/x'\nlayuot = ''", r"setting 'roots\.a\.layuot': did you mean 'layout'\?"),
        ("[roots.a]\npath = '/x'\nkind = 'sience'", r"setting 'roots\.a\.kind': .*'science'.*found 'sience'"),
        ("[roots.a]\npath = '/x'\norder = ['path', 'heder']", r"setting 'roots\.a\.order\.1': .*found 'heder'"),
        ("[roots.a]\nkind = 'science'", r"setting 'roots\.a\.path': Field required"),
        ("[roots.'a/b']\npath = '/x'", r"root name 'a/b': must be a plain word"),
        ("[roots.'.a']\npath = '/x'", r"root name '\.a': must be a plain word"),
        ("roots = 3", "setting 'roots'"),
        ("[sites.x]\nlongitude = 10\nlatitude = 100", r"setting 'sites\.x\.latitude': .*less than or equal to 90, found 100"),
        ("[sites.x]\nlongitude = 10\nlatitude = 10\naltitude = 5", r"setting 'sites\.x\.altitude': did you mean 'latitude'"),
        ("[sql]\ntimeout_seconds = 0", r"setting 'sql\.timeout_seconds': .*greater than 0"),
        ("[sql]\ntimeout_seconds = inf", r"setting 'sql\.timeout_seconds': .*finite"),
        ("[sql]\nmemory_gb = nan", r"setting 'sql\.memory_gb'"),
        ("[database]\nurl = 5\nurll = 'x'", "setting 'database"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, text), NO_ENVIRONMENT)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(tmp_path, NO_ENVIRONMENT)


def test_the_environment_wins(tmp_path: Path) -> None:
    home = write(tmp_path, "name = 'a'\n[database]\nurl = 'sqlite:///x.db'\n[index]\nworkers = 2")
    environ = {
        "EZARCHIVE__DATABASE__URL": "postgresql+psycopg://h/db",
        "EZARCHIVE__INDEX__WORKERS": "7",
        "EZARCHIVE__INDEX__STORE_HEADERS": "false",
        "EZARCHIVE__ROOTS__SCIDATA__PATH": "data",
        "EZARCHIVE__SITES": '{"x": {"longitude": 1, "latitude": 2}}',
        "EZARCHIVE__MEASURE__OPTIONS__APERTURES": "[5, 7]",
        "EZARCHIVE_OTHER": "no setting",
        "HOME": "/root",
    }
    found = load(home, environ)
    assert found.name == "a"
    assert found.database.url == "postgresql+psycopg://h/db"
    assert (found.index.workers, found.index.store_headers) == (7, False)
    assert found.roots["scidata"].path == tmp_path / "data"
    assert found.sites["x"].latitude == 2
    assert found.measure.options == {"apertures": [5, 7]}


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EZARCHIVE__NAME", "from outside")
    assert load(write(tmp_path, "name = 'x'")).name == "from outside"


@pytest.mark.parametrize("text", ["2024", "x y", '"quoted"', "1.5"])
def test_texts_from_the_environment(tmp_path: Path, text: str) -> None:
    assert load(write(tmp_path, ""), {"EZARCHIVE__NAME": text}).name == text.strip('"')


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"EZARCHIVE__NAME__X": "1"}, "EZARCHIVE__NAME__X: 'name' is no table of settings"),
        ({"EZARCHIVE__INDEX__WORKERZ": "1"}, r"setting 'index\.workerz': did you mean 'workers'"),
        ({"EZARCHIVE__INDEX__WORKERS": "many"}, r"setting 'index\.workers'.*found 'many'"),
        ({"EZARCHIVE__": "1"}, "setting '': must be one of 'associate'"),
        ({"EZARCHIVE__INDEX__": "1"}, r"setting 'index\.': must be one of 'batch_size'"),
    ],
)
def test_wrong_environments(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, "name = 'x'"), environ)


def test_create_then_load(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    made = Settings(roots={"scidata": root_settings("scidata", tmp_path / "sci")}, database=DatabaseSettings(url="sqlite:///o.db"))
    path = create(home, made)
    assert path == home / FILE_NAME
    assert load(home, NO_ENVIRONMENT) == made
    before = path.read_bytes()
    with pytest.raises(ArchiveExistsError, match="holds an archive already"):
        create(home, Settings())
    assert path.read_bytes() == before


def test_create_leaves_no_broken_file(tmp_path: Path) -> None:
    bad = Settings(roots={"a": RootSettings(path=Path(os.fsdecode(b"/data/\xff")))})
    with pytest.raises(ConfigError, match="not UTF-8"):
        create(tmp_path, bad)
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("scidata", "science"), ("refdata", "reference"), ("Reference", "reference"), ("mcalibdata", "calibration"),
        ("calib", "calibration"), ("prefer", "science"),
    ],
)  # fmt: skip
def test_roots_by_name(name: str, kind: str, tmp_path: Path) -> None:
    assert root_settings(name, tmp_path).kind == kind
    assert root_settings(name, str(tmp_path)).path == tmp_path
    assert root_settings(name, {"path": tmp_path, "kind": "science"}).kind == "science"


def test_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert root_settings("a", "x").path == tmp_path / "x"
    monkeypatch.setenv("HOME", "/home/me")
    assert root_settings("a", "~/x").path == Path("/home/me/x")
    ready = RootSettings(path=Path("rel"))
    assert root_settings("a", ready) is ready
    given_values = {"path": "x", "layout": ""}
    assert root_settings("a", given_values).template == ""
    assert given_values == {"path": "x", "layout": ""}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "root 'a': has no path"),
        ({"path": "x", "knid": "science"}, r"root 'a': setting 'knid': did you mean 'kind'\?"),
        ({"path": "x", "kind": "x"}, "root 'a': setting 'kind': .*found 'x'"),
        ({"path": 3}, "root 'a': path must be a path, found 3"),
        (None, "root 'a': path must be a path, found None"),
    ],
)
def test_wrong_roots(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        root_settings("a", value)


plain = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8)
words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\\0"), min_size=1, max_size=10).filter(
    lambda name: not name.startswith(".")
)
roots = st.builds(
    RootSettings,
    path=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20).map(
        lambda text: Path("/data") / text.lstrip("/")
    ),
    kind=st.sampled_from(["science", "reference", "calibration"]),
    layout=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    defaults=st.dictionaries(keys, st.text("abc", max_size=3) | st.integers(0, 9), max_size=3),
)
all_settings = st.builds(
    Settings,
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    roots=st.dictionaries(words, roots, max_size=3),
    sites=st.dictionaries(keys, st.builds(SiteSettings, longitude=st.floats(-180, 360), latitude=st.floats(-90, 90)), max_size=2),
    index=st.builds(IndexSettings, workers=st.none() | st.integers(1, 9), settle_seconds=st.floats(0, 1e9)),
    measure=st.builds(MeasureSettings, options=st.dictionaries(keys, values, max_size=4)),
    sql=st.builds(SQLSettings, memory_gb=st.floats(0.1, 1e4)),
    instruments=st.lists(st.dictionaries(keys, values, max_size=4), max_size=3).map(tuple),
)


@pytest.mark.pure
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(all_settings)
def test_the_text_says_all(made: Settings) -> None:
    text = to_toml(made)
    assert config.validated(tomllib.loads(text), "text") == made
