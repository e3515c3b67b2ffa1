"""The help of ``nadoo-flow run`` fits a screen."""

from __future__ import annotations

import pytest

from nadoo_flow.__main__ import main


def test_the_help_fits_a_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (["run", "module:node", "--concurency", "4"], "run [options] MODULE:NODE [INPUT]"),
        (["demo", "--row", "4", "--colour"], "demo "),
        (["--version"], "[-h] COMMAND ..."),
    ],
)
def test_an_unknown_option_is_refused_with_the_usage_of_its_command(
    arguments: list[str], usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    written = capsys.readouterr().err
    assert written.startswith(f"usage: python -m nadoo_flow {usage}")
    assert "error: unrecognized arguments: --" in written
