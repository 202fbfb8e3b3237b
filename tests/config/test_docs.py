"""docs/configuration.md lists every setting."""

from pathlib import Path

import weft.config
import yaml

DOC = Path(__file__).parents[2] / "docs" / "configuration.md"
SHIPPED = yaml.safe_load((Path(weft.config.__file__).parent / "weft.yaml").read_text())


def settings(node, above=""):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from settings(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def test_every_setting_is_listed_with_its_default_and_variable():
    rows = [row.split("|") for row in DOC.read_text().splitlines() if row.startswith("| `")]
    listed = {row[1].strip(" `"): (row[2].strip(" `"), row[3].strip(" `")) for row in rows}
    for name, default in settings(SHIPPED):
        text, variable = listed[name]
        assert isinstance(default, list) or yaml.safe_load(text) == default, name
        [(found, _)] = settings(weft.config.collect_env({variable: "1"}))
        assert found.replace("_", "-") == name.replace("_", "-")
