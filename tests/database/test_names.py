"""Names of targets, telescopes, filters: made once, found exactly, by key or by glob."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezarchive.database import names
from ezarchive.database.names import target_key
from ezarchive.errors import InputError, UnknownNameError


@pytest.mark.pure
class TestTargetKey:
    @pytest.mark.parametrize(
        ("one", "other"),
        [("NGC 253", "ngc253"), ("NGC\u00a0253", "NGC 253"), ("Černý 20", "cerny20"), ("J0201\u22120312", "J0201-0312"), ("ﬁeld", "FIELD")],
    )
    def test_spellings_of_one_target(self, one, other):
        assert target_key(one) == target_key(other)

    @pytest.mark.parametrize(("one", "other"), [("T00528", "T00529"), ("J0201+03", "J0201-03"), ("A_1", "A1"), ("β Cas", "γ Cas")])
    def test_different_targets(self, one, other):
        assert target_key(one) != target_key(other)

    @given(st.text(min_size=1))
    def test_is_never_empty_and_is_its_own_key_but_for_rare_letters(self, name):
        assert target_key(name)
        assert target_key(target_key(target_key(name))) == target_key(target_key(name))


def get(database, what, given):
    with database.begin() as conn:
        return names.get_or_create(conn, what, given)


def resolve(database, what, *values):
    with database.connect() as conn:
        return names.resolve(conn, what, values)


class TestGetOrCreate:
    def test_gives_one_id_to_each_name(self, database):
        first = get(database, "filter", ["r", "g", None, "", "r"])
        assert sorted(first) == ["g", "r"]
        assert get(database, "filter", ["g", "i"])["g"] == first["g"]

    def test_filters_differ_by_case(self, database):
        ids = get(database, "filter", ["r", "R"])
        assert ids["r"] != ids["R"]

    def test_spellings_of_a_target_are_one(self, database):
        ids = get(database, "objname", ["NGC 253", "ngc253", "M 31"])
        assert ids["NGC 253"] == ids["ngc253"] != ids["M 31"]
        with database.connect() as conn:
            assert names.all_names(conn, "objname") == ["M 31", "NGC 253"]

    def test_an_alias_is_its_target(self, database):
        ids = get(database, "objname", ["NGC 253"])
        with database.begin() as conn:
            names.add_alias(conn, "ngc253", "Sculptor Galaxy")
            names.add_alias(conn, "ngc253", "Sculptor Galaxy")
        assert get(database, "objname", ["sculptorgalaxy"])["sculptorgalaxy"] == ids["NGC 253"]
        assert resolve(database, "objname", "Sculptor*") == {ids["NGC 253"]}

    def test_many_names_at_once(self, database):
        ids = get(database, "telname", [f"tel{number}" for number in range(3000)])
        assert len(set(ids.values())) == 3000


class TestResolve:
    def test_exact_names_and_globs(self, database):
        ids = get(database, "filter", ["m600", "m625", "r"])
        assert resolve(database, "filter", "m600") == {ids["m600"]}
        assert resolve(database, "filter", "m6??", "r") == set(ids.values())
        assert resolve(database, "filter", "m[0-9]*[05]") == {ids["m600"], ids["m625"]}

    def test_a_glob_that_matches_nothing_is_no_error(self, database):
        get(database, "filter", ["r"])
        assert resolve(database, "filter", "m*") == set()

    def test_a_name_with_wildcards_is_found_as_it_stands(self, database):
        ids = get(database, "objname", ["T[1]*", "T1x"])
        assert resolve(database, "objname", "T[1]*") == {ids["T[1]*"]}

    def test_targets_are_found_in_any_spelling(self, database):
        ids = get(database, "objname", ["NGC 253", "NGC 300"])
        assert resolve(database, "objname", "ngc 253") == {ids["NGC 253"]}
        assert resolve(database, "objname", "ngc*") == set(ids.values())

    def test_an_unknown_name_names_the_near_misses(self, database):
        get(database, "objname", ["T00528", "T00529", "M31"])
        with pytest.raises(UnknownNameError, match=r"objname 'T0528': did you mean 'T00528' or 'T00529'\?"):
            resolve(database, "objname", "T0528")
        with pytest.raises(UnknownNameError, match="filter 'r': there is none here"):
            resolve(database, "filter", "r")


class TestFacts:
    def test_an_alias_must_be_free_and_its_target_must_exist(self, database):
        get(database, "objname", ["M31", "M33"])
        with database.begin() as conn:
            with pytest.raises(InputError, match="alias='m 33': is the name of another target"):
                names.add_alias(conn, "M31", "m 33")
            with pytest.raises(UnknownNameError, match=r"objname 'M30': did you mean"):
                names.add_alias(conn, "M30", "x")

    def test_site_and_band_are_recorded(self, database):
        with database.begin() as conn:
            names.set_site(conn, "El Sauce", longitude=-70.763, latitude=-30.4725, elevation=1570)
            names.set_band(conn, "m600", em_min=587.5e-9, em_max=612.5e-9)
            with pytest.raises(InputError, match="em_min=2, em_max=1: must be wavelengths in metres, in order"):
                names.set_band(conn, "m600", em_min=2, em_max=1)
            sites = conn.exec_driver_sql("SELECT name, longitude, latitude, elevation FROM site").all()
            assert sites == [("El Sauce", -70.763, -30.4725, 1570)]
            assert conn.exec_driver_sql("SELECT em_min, em_max FROM filter").all() == [(587.5e-9, 612.5e-9)]
