"""The command as a whole, and its main job, the demo."""

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import tinygrad_sm as tg
from tinygrad_sm.cli import app
from tinygrad_sm.viz import rendering

COMMANDS = ("demo", "train", "check", "draw", "play", "ops")


def run(*arguments):
    return CliRunner().invoke(app, [*arguments], terminal_width=80)


def test_without_arguments_it_says_what_can_be_done():
    result = run()
    output = result.output
    assert result.exit_code == 0 and "Usage" in output and max(map(len, output.splitlines())) <= 80
    assert all(command in output for command in COMMANDS)
    assert "tinygrad-sm demo" in output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_both_spellings_of_the_learning_rate_fit_into_the_help():
    assert "--learning-rate,--lr " in run("train", "--help").output


def test_the_version():
    assert run("--version").output == f"tinygrad_sm {tg.__version__}\n"


@pytest.mark.parametrize("arguments", [("dmeo",), ("demo", "--epochs", "0"), ("demo", "--array", "pandas"), ("demo", "more")])
def test_a_slip_is_refused(arguments):
    assert run(*arguments).exit_code == 2


def test_the_package_is_the_command_too():
    done = subprocess.run([sys.executable, "-m", "tinygrad_sm", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tinygrad_sm {tg.__version__}\n"


# --- the demo


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """What the demo says after a single epoch on numpy, and the folder that it drew into."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    result = run("demo", "--array", "numpy", "--epochs", "1", "--out", str(folder))
    assert result.exit_code == 0, result.output
    return result.output, folder


def accuracy_in(output):
    return float(re.search(r"^test accuracy: (\d+\.\d) %$", output, re.MULTILINE)[1])


def test_the_demo_tells_what_it_learns_from_and_with(short):
    output, _ = short
    for said in (
        "on numpy",
        "1,797 images",
        "1,437 to learn from, 360 held out",
        "seed 0",
        "Linear(64, 32)",
        "2,410 parameters",
    ):
        assert said in output


def test_the_accuracy_is_the_diagonal_of_the_confusion_matrix(short):
    output, _ = short
    rows = [re.findall(r"\d+|·", line) for line in output.splitlines() if re.match(r"\s+\d(\s+(\d+|·)){10}\s+\d+ %", line)]
    assert [int(row[0]) for row in rows] == [*range(10)]
    counts = [[0 if cell == "·" else int(cell) for cell in row[1:11]] for row in rows]
    assert sum(map(sum, counts)) == 360
    right = sum(counts[i][i] for i in range(10))
    assert accuracy_in(output) == round(100 * right / 360, 1)
    assert all(36 - 2 <= sum(row) <= 36 + 2 for row in counts)  # each class in its share


def test_it_shows_a_mistake(short):
    output, _ = short
    taken, sure = re.search(r"taken for a (\d), p = (\d\.\d+)", output).groups()
    true, other = re.search(r"it is a (\d), p = (\d\.\d+)", output).groups()
    assert taken != true
    assert float(sure) > float(other)


def test_fused_and_composed_gradients_differ_by_rounding(short):
    output, _ = short
    difference = float(re.search(r"largest difference of their 2,410 gradients is (\S+)\.\n", output)[1])
    assert 0.0 < difference < 1e-15


def test_it_draws_a_graph_into_the_folder_that_it_names(short):
    output, folder = short
    fused, composed = ((folder / f"softmax_network{end}.dot").read_text() for end in ("", "_composed"))
    assert all(name in fused for name in ("layers.0.weight", "linear", "cross_entropy", "loss"))
    assert "cross_entropy" not in composed and all(name in composed for name in ("matmul", "log1p", "expm1"))
    assert "softmax_network.dot" in output and "softmax_network_composed.dot" in output
    assert not [*folder.glob(".*")]


@pytest.mark.parametrize("kind", [FileNotFoundError, RuntimeError])  # there is none, or it fails
def test_without_a_program_that_lays_graphs_out_it_says_what_to_install(kind, tmp_path, monkeypatch):
    def nothing(engine=None):
        raise kind("no program: pip install 'tinygrad_sm[dot]'")

    monkeypatch.setattr(rendering, "find_engine", nothing)
    result = run("demo", "--array", "numpy", "--epochs", "1", "--out", str(tmp_path))
    assert result.exit_code == 0
    assert "No picture: no program: pip install 'tinygrad_sm[dot]'" in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["softmax_network.dot", "softmax_network_composed.dot"]


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "taken").write_text("")
    result = run("demo", "--array", "numpy", "--epochs", "1", "--out", str(tmp_path / "taken"))
    assert result.exit_code == 1
    assert result.output == f"Error: {tmp_path / 'taken'}: File exists\n"


@pytest.mark.heavy
@pytest.mark.parametrize("array", ["nd", "numpy"])
def test_the_demo_reads_96_of_100_digits(array, tmp_path):
    result = run("demo", "--array", array, "--out", str(tmp_path))
    assert result.exit_code == 0
    assert accuracy_in(result.output) >= 96.0
