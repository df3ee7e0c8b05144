"""What a footer says of the columns."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from astropy.io import votable

from ezarchive.catalogs.metadata import ARROW_TYPES, arrow_schema, column_metadata, vounit
from ezarchive.columns import CATALOG_LINK, DTYPES, SOURCE, aperture


def test_every_type_has_an_arrow_type() -> None:
    assert set(ARROW_TYPES) == set(DTYPES)


def test_the_schema() -> None:
    schema = arrow_schema(CATALOG_LINK)
    assert schema.names == [column.name for column in CATALOG_LINK]
    assert schema.field("frame_id").type == pa.int64()
    assert schema.field("filter").type == pa.string()


@pytest.mark.oracle
def test_the_votable_is_valid_and_says_everything() -> None:
    columns = (*CATALOG_LINK, *SOURCE, *aperture(0), *aperture(3))
    text = column_metadata(columns, (5, 4))[b"IVOA.VOTable-Parquet.content"]
    assert b"<DATA" not in text
    document = votable.parse(io.BytesIO(text), verify="exception")
    fields = document.get_first_table().fields
    assert [field.name for field in fields] == [column.name for column in columns]
    assert [field.ucd for field in fields] == [column.ucd for column in columns]
    assert [field.description for field in fields] == [column.description for column in columns]
    assert [str(field.unit) if field.unit else None for field in fields][:6] == [None, None, None, None, "d", "s"]
    assert [field.arraysize for field in fields if field.datatype == "unicodeChar"] == ["5", "4"]


def test_equal_columns_give_equal_metadata_and_lengths_differ() -> None:
    one = column_metadata(CATALOG_LINK, (5, 4))
    assert one == column_metadata(tuple(CATALOG_LINK), (5, 4))
    assert one[b"table::len::telname"] == b"5"
    assert one != column_metadata(CATALOG_LINK, (5, 5))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        column_metadata(CATALOG_LINK, (5,))


@pytest.mark.parametrize(
    ("unit", "text"), [("pix2", "pixel**2"), ("count/s", "count.s**-1"), ("deg", "deg"), ("electron", "electron"), ("uJy", "uJy")]
)
def test_units(unit: str, text: str) -> None:
    assert vounit(unit) == text
