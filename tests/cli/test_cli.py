"""The command, as a person calls it."""

from typer.testing import CliRunner

from tinygrad_sm.cli import app


def test_demo_shows_the_two_ways_and_their_difference():
    result = CliRunner().invoke(app, ["demo"], terminal_width=120)
    assert result.exit_code == 0
    assert "0.628532" in result.output  # softmax([2, 1, 0.5])[0]
    assert "loss 0.464369" in result.output
    assert "4.248354e-18" in result.output


def test_without_arguments_it_says_what_can_be_done():
    result = CliRunner().invoke(app, [])
    assert "demo" in result.output


def test_unknown_command_is_refused():
    assert CliRunner().invoke(app, ["dmeo"]).exit_code != 0
