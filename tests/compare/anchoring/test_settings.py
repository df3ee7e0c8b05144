"""The configuration of an anchoring."""

from __future__ import annotations

import pytest

from ezarchive.compare.anchoring.settings import read_config
from ezarchive.errors import FrameError, InputError, UnknownNameError

CONFIG = """
target = "ngc9999"
bands = ["F770W", "F2100W"]
in_dir = "scene/data/{target}"
ref_dir = "scene/refs"
kernel_dir = "scene/kernels"
in_step_ext = "i2d_align"
in_subdir = "lv3"
internal_conv_band = "F2100W"
ref_band = "F770W"
external_bands = "irac4_atgauss4"
"""


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("target = ", InputError, "anchor.toml: must be TOML"),
        (CONFIG + "kernels = 'x'", UnknownNameError, "argument 'kernels': .*kernel_dir"),
        (CONFIG.replace('in_step_ext = "i2d_align"', ""), InputError, "must say in_step_ext"),
        (CONFIG.replace('target = "ngc9999"', "target = []"), InputError, "target: must be a name or a list of names"),
    ],
)
def test_configurations_that_are_wrong(tmp_path, text, error, message):
    path = tmp_path / "anchor.toml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        read_config(path)


def test_a_configuration_for_several_targets(tmp_path):
    path = tmp_path / "anchor.toml"
    path.write_text(CONFIG.replace('"ngc9999"', '["ngc1", "ngc2"]') + '[masks]\nF770W = "{target}.reg"\n')
    first, second = read_config(path)
    assert (first["target"], second["in_dir"]) == ("ngc1", tmp_path / "scene" / "data" / "ngc2")
    assert second["masks"] == {"F770W": tmp_path / "ngc2.reg"}
    assert (first["procs"], first["out_subdir"]) == (1, "anchoring")
    with pytest.raises(FrameError, match="none.toml: cannot be read"):
        read_config(tmp_path / "none.toml")
