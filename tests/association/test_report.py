"""What is told at the end."""

from __future__ import annotations

from ezarchive.association.report import AssociateReport


def test_numbers_and_check_are_shown():
    report = AssociateReport(
        3, changed=True, added=2, withdrawn=1, catalogs=4, rows_in=10, light_curve=7, orphans=2, unplaced=1, objects=3, new=1, compacted=5,
        without=6, elapsed=1.25,
    )  # fmt: skip
    assert report.conserved
    assert str(report).splitlines() == [
        "store version 3: 2 catalogs added, 1 withdrawn, 0 calibrated anew; 1.2 s",
        "  3 objects (1 new, 0 merged, 0 ambiguous pairs)",
        "  rows of 4 catalogs: 10 = 7 of objects + 2 of none yet + 1 without a position: conserved",
        "  5 partitions compacted",
        "  6 catalogs without the store's aperture stay outside",
    ]


def test_a_loss_is_shown():
    assert "NOT CONSERVED" in str(AssociateReport(1, rows_in=2, light_curve=1))
    assert str(AssociateReport(None)) == "no store: up to date; 0.0 s"
