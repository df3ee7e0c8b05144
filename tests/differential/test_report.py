"""What a report says."""

from __future__ import annotations

from astropy.table import QTable

from ezarchive.differential.report import DifferentialReport, EnsembleRow


def test_a_report_prints_its_ensembles_and_some_of_its_failures() -> None:
    row = EnsembleRow("r 7DT01", 5.0, 0, 40, 200, 3, 0.0008, 0.0, "AB", 0.002)
    failed = tuple((f"f{number}.fits", "too_few_stars", "2 good stars") for number in range(12))
    frames = QTable({"frame_id": [1, 1, 2]})
    stars = QTable({"reason": ["used", "variable", "used"], "n": [1, 2, 3]})
    report = DifferentialReport(7, (row, row._replace(origin="none", number=1)), failed, 80, 1.25, stars, frames)
    text = str(report).splitlines()
    assert text[0] == "differential: 2 frames in 2 ensembles (80 zero points), 12 failed; run 7; 1.2 s"
    assert text[1] == "  r 7DT01, 5 arcsec, set 0: 40 frames, 200 comparison stars (3 variable), errors 0.8 mmag, level AB"
    assert text[2].endswith("level of no reference")
    assert text[3] == "  f0.fits: too_few_stars: 2 good stars"
    assert text[-1] == "  and 2 more failures (.failed)"
    assert not report.ok
    assert report.comparison_stars["n"].tolist() == [1, 3]
