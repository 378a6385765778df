"""`tinygrad-sm train`, as a person calls it: on tables and files that are right, and on those that are not."""

import csv
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from typer.main import get_command

import tinygrad_sm as tg
from tinygrad_sm.cli import app, shared
from tinygrad_sm.cli.classifier import FORMAT, Classifier, ClassifierError
from tinygrad_sm.nn import safetensors

BUNDLED = Path(tg.datasets.__file__).parent
QUICK = ("--epochs", "3", "--quiet")
CENTRES = {"setosa": (5.0, 1.5), "versicolor": (6.0, 4.2), "virginica": (6.6, 5.6)}


def flowers(n: int = 60) -> list[list[str]]:
    """Rows of length, width and kind, without a header."""
    draw = random.Random(0)
    kinds = [*CENTRES]
    return [[*(f"{draw.gauss(c, 0.3):.2f}" for c in CENTRES[kinds[i % 3]]), kinds[i % 3]] for i in range(n)]


def write(name: str, rows: list[list[str]], header: list[str] | None = None, delimiter: str = ",") -> None:
    with open(name, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows] if header else rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a table, and networks that learnt from it: with the names of its columns and without."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write("flowers.csv", flowers(), ["length", "width", "kind"])
        write("bare.csv", [[kind, *numbers] for *numbers, kind in flowers()])
        assert run("--data", "flowers.csv", "--target", "kind", "--epochs", "20", "--quiet").exit_code == 0
        assert run("--data", "bare.csv", "--target", "1", "--epochs", "20", "--quiet").exit_code == 0
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    """A folder of one's own with these files, in which the command runs."""
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


COMMAND = get_command(app)  # once; typer's CliRunner builds it anew for each call, which takes longer than the call


class Result(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


def run(*args: str) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        COMMAND(["train", *args], prog_name="tinygrad-sm")
    return Result(end.value.code, out.getvalue(), err.getvalue())


def right(*args: str) -> str:
    """What a call that goes well prints."""
    result = run(*args)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def wrong(*args: str) -> str:
    """The one sentence of a call that does not go well, after which every file is as it was."""
    before = {path.name: path.is_file() and path.read_bytes() for path in Path().iterdir()}
    result = run(*args)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    assert {path.name: path.is_file() and path.read_bytes() for path in Path().iterdir()} == before
    return result.stderr.removeprefix("Error: ").strip()


def predicted(name: str) -> list[tuple[str, float]]:
    with open(name, encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["class", "probability"]
    return [(label, float(p)) for label, p in rows]


# --- training


def test_iris_without_options_is_learnt(here):
    out = right("--data", str(BUNDLED / "iris.csv"), "--target", "species")
    assert "iris.csv: 150 rows, commas between cells, names in the first line." in out
    assert "4 columns to learn from: sepal_length_cm, sepal_width_cm, petal_length_cm, \npetal_width_cm\n" in out
    assert "3 classes in species: setosa (50), versicolor (50), virginica (50)" in out
    assert "120 rows to learn from, 30 to be tested on: a stratified split by seed 0." in out
    assert "MLP([4, 32, 3], activation='relu') with 259 parameters" in out
    assert "epoch 50/50" in out and "validation" not in out
    assert "would give 33.3 %" in out
    assert "is in iris.safetensors\n" in out
    assert float(out.partition("test accuracy: ")[2].split()[0]) >= 93
    assert all(cell_len(line) <= 80 for line in out.splitlines() if not line.startswith("To predict"))


@pytest.mark.heavy
@pytest.mark.parametrize("array", ["nd", "numpy"])
def test_digits_without_options_are_learnt(here, array):
    out = right("--data", str(BUNDLED / "digits.csv"), "--target", "digit", "--array", array)
    assert float(out.partition("test accuracy: ")[2].split()[0]) >= 96
    assert "64 columns to learn from: pixel_0_0, " in out and "..., pixel_7_7 (64 in all)" in out
    assert "of no use: pixel_0_0, pixel_4_0, \npixel_4_7" in out
    assert "validation" in out and "trained in " in out


def test_quiet_gives_the_results_alone(here):
    out = right("--data", "flowers.csv", "--target", "kind", *QUICK, "--save", "other.safetensors")
    first, second, empty, last = out.splitlines()
    assert first.startswith("test accuracy: ") and second == "(always guessing setosa would give 33.3 %)"
    assert (empty, last) == ("", "The network is in other.safetensors")


def test_what_guessing_the_commonest_class_would_give(here):
    write("t.csv", [*flowers(30), *flowers()[2::3]], ["length", "width", "kind"])  # 30 virginica, 10 of each of the others
    assert "(always guessing virginica would give 60.0 %)" in right("--data", "t.csv", "--target", "kind", *QUICK)


def test_the_network_goes_into_the_current_folder_under_the_name_of_the_data(here):
    (here / "deep").mkdir()
    (here / "flowers.csv").rename(here / "deep" / "petals.v2.csv")
    right("--data", "deep/petals.v2.csv", "--target", "kind", *QUICK)
    assert (here / "petals.v2.safetensors").is_file() and len([*(here / "deep").iterdir()]) == 1


def test_the_file_says_what_it_is_and_others_can_read_it(here):
    from safetensors import safe_open

    right("--data", "flowers.csv", "--target", "kind", "--hidden", "5,4", "--activation", "tanh", *QUICK)
    with safe_open("flowers.safetensors", "numpy") as file:
        metadata, names = file.metadata(), {*file.keys()}
    assert names == {f"layers.{i}.{part}" for i in range(3) for part in ("weight", "bias")}
    assert metadata["format"] == FORMAT and metadata["library_version"] == tg.__version__
    assert (metadata["target"], metadata["activation"], metadata["has_header"]) == ("kind", "tanh", "true")
    told = {key: json.loads(metadata[key]) for key in ("columns", "classes", "sizes")}
    assert told == {"columns": ["length", "width"], "classes": [*CENTRES], "sizes": [2, 5, 4, 3]}


def test_means_and_scales_are_those_of_the_rows_to_learn_from_alone(here):
    _, metadata = safetensors.read("flowers.safetensors")
    rows = flowers()
    learn, _ = tg.datasets.train_test_split([*range(60)], test_size=0.2, stratify=[kind for *_, kind in rows])
    for j, (mean, scale) in enumerate(zip(*map(json.loads, (metadata["means"], metadata["scales"])), strict=True)):
        column = [float(rows[i][j]) for i in learn]
        assert mean == pytest.approx(statistics.mean(column), rel=1e-14)
        assert scale == pytest.approx(statistics.pstdev(column), rel=1e-14)
        assert mean != pytest.approx(statistics.mean(float(row[j]) for row in rows), rel=1e-6)


@pytest.mark.parametrize("source", ["flowers", "bare"])
def test_probabilities_are_those_that_numpy_computes_from_the_file(here, source):
    import numpy as np
    from safetensors.numpy import load_file

    right("--load", f"{source}.safetensors", "--data", "flowers.csv" if source == "flowers" else "bare.csv", "--out", "p.csv")
    _, metadata = safetensors.read(f"{source}.safetensors")
    means, scales, classes = (json.loads(metadata[key]) for key in ("means", "scales", "classes"))
    w = load_file(f"{source}.safetensors")
    x = (np.array([row[:2] for row in flowers()], dtype=float) - means) / scales
    hidden = np.maximum(x @ w["layers.0.weight"].T + w["layers.0.bias"], 0)
    e = np.exp(hidden @ w["layers.1.weight"].T + w["layers.1.bias"])
    p = e / e.sum(axis=1, keepdims=True)
    for (label, probability), row in zip(predicted("p.csv"), p, strict=True):
        assert label == classes[row.argmax()] and probability == pytest.approx(row.max(), abs=6e-7)
    assert np.mean([label == row[2] for (label, _), row in zip(predicted("p.csv"), flowers(), strict=True)]) > 0.9


def test_the_test_accuracy_is_that_of_the_rows_held_out(here):
    out = right("--data", "flowers.csv", "--target", "kind", "--quiet", "--test", "0.5", "--seed", "3", "--epochs", "2")
    rows = flowers()
    _, test = tg.datasets.train_test_split([*range(60)], test_size=0.5, seed=3, stratify=[kind for *_, kind in rows])
    right("--load", "flowers.safetensors", "--data", "flowers.csv", "--out", "p.csv")
    guesses = predicted("p.csv")
    hits = sum(guesses[i][0] == rows[i][2] for i in test)
    assert len(test) == 30 and f"test accuracy: {100 * hits / 30:.1f} %" in out and hits < 30


def test_the_same_command_gives_the_same_file_and_another_seed_another(here):
    files = [f"{i}.safetensors" for i in range(3)]
    for name, seed in zip(files, "001", strict=True):
        right("--data", "flowers.csv", "--target", "kind", "--save", name, "--seed", seed, *QUICK)
    first, second, third = (Path(name).read_bytes() for name in files)
    assert first == second != third


def test_numpy_learns_the_same_weights_and_they_load_on_either(here):
    for array in ("nd", "numpy"):
        right("--data", "flowers.csv", "--target", "kind", "--array", array, "--save", f"{array}.safetensors", *QUICK)
    own, numpys = (safetensors.load(f"{array}.safetensors") for array in ("nd", "numpy"))
    for name in own:
        assert float(tg.nd.max(tg.nd.abs(own[name] - numpys[name]))) < 1e-12
    right("--load", "numpy.safetensors", "--data", "flowers.csv", "--out", "nd.csv")
    right("--load", "nd.safetensors", "--data", "flowers.csv", "--out", "numpy.csv", "--array", "numpy")
    for (a, p), (b, q) in zip(predicted("nd.csv"), predicted("numpy.csv"), strict=True):
        assert a == b and p == pytest.approx(q, abs=2e-6)
    import numpy

    on_numpy = Classifier.load("nd.safetensors", numpy).network
    assert all(type(p.data) is numpy.ndarray for p in on_numpy.parameters())


@pytest.mark.parametrize(("hidden", "sizes"), [("", "[2, 3]"), ("7", "[2, 7, 3]"), (" 6, 5 ", "[2, 6, 5, 3]")])
def test_widths(here, hidden, sizes):
    assert f"MLP({sizes}, " in right("--data", "flowers.csv", "--target", "kind", "--hidden", hidden, "--epochs", "1")


def test_epochs_batches_and_rates_arrive(here, monkeypatch):
    seen = {}

    def fit(network, rows, labels, **given):
        seen.update(given, rows=len(rows), rate=given["optimizer"].param_groups[0]["lr"])
        return tg.History()

    monkeypatch.setattr(tg, "fit", fit)
    rest = "--epochs 7 --batch-size 5 --learning-rate 0.25 --test 0.25 --seed 9".split()
    right("--data", "flowers.csv", "--target", "kind", *rest)
    assert seen["scheduler"].T_max == seen["epochs"] == 7
    assert (seen["batch_size"], seen["rate"], seen["rows"], seen["seed"]) == (5, 0.25, 45, 9)
    assert seen["validation"] is None and seen["progress"] is True


def test_the_learning_rate_has_a_short_name(here):
    for option in ("--lr", "--learning-rate"):
        right(*LEARN.split(), option, "0.25", "--save", f"{option}.safetensors", *QUICK)
    right(*LEARN.split(), "--save", "other.safetensors", *QUICK)
    short, long, other = (Path(f"{name}.safetensors").read_bytes() for name in ("--lr", "--learning-rate", "other"))
    assert short == long != other


TOWNS = ["Rome", "Oslo"]
HEAD = ["id", "town", "length", "width", "kind"]


def numbered() -> list[list[str]]:
    return [[f"{i}", TOWNS[i % 2], *row] for i, row in enumerate(flowers())]


@pytest.mark.parametrize("options", [("--ignore", "town,id"), ("--ignore", " 2 , 1 "), ("--ignore", "id", "--ignore", "2")])
def test_ignored_columns_are_not_learnt(here, options):
    write("t.csv", numbered(), HEAD)
    out = right("--data", "t.csv", "--target", "kind", *options, "--epochs", "3")
    assert "2 columns to learn from: length, width\nIgnored: id, town\n" in out
    right(*LEARN.split(), *QUICK)
    (weights, told), (wanted, metadata) = (safetensors.read(f"{name}.safetensors") for name in ("t", "flowers"))
    assert {k: x.tolist() for k, x in weights.items()} == {k: x.tolist() for k, x in wanted.items()}
    assert json.loads(told.pop("ignored")) == ["id", "town"] and json.loads(metadata.pop("ignored")) == []
    assert told == metadata
    right("--load", "flowers.safetensors", "--data", "flowers.csv", "--out", "p.csv")
    out = right("--load", "t.safetensors", "--data", "t.csv", "--out", "q.csv")
    assert "Not learnt from, and so ignored: id, town\n" in out and "\naccuracy: " in out
    assert predicted("p.csv") == predicted("q.csv")


@pytest.mark.parametrize("at", range(5))
def test_ignored_columns_without_names_are_where_they_were(here, at):
    def turned(row: list[str]) -> list[str]:
        return row[at:] + row[:at]

    order = turned([*range(5)])
    ignore, target = f"{order.index(0) + 1},{order.index(1) + 1}", f"{order.index(4) + 1}"
    write("t.csv", [turned(row) for row in numbered()])
    write("unknown.csv", [[x for x, j in zip(turned(row), order, strict=True) if j != 4] for row in numbered()])
    write("bare.csv", [[x for x, j in zip(turned(row), order, strict=True) if j in (2, 3)] for row in numbered()])
    write("named.csv", [turned(row) for row in numbered()], turned(HEAD))
    write("few.csv", [row[:3] for row in numbered()])
    right("--data", "t.csv", "--target", target, "--ignore", ignore, *QUICK)
    outputs = [
        right("--load", "t.safetensors", "--data", f"{name}.csv", "--out", f"{name}.p")
        for name in ("t", "unknown", "bare", "named")
    ]
    assert ["\naccuracy: " in out for out in outputs] == [True, False, False, True]
    assert ["Not learnt from" in out for out in outputs] == [True, True, False, True]
    assert all(predicted(f"{name}.p") == predicted("t.p") for name in ("unknown", "bare", "named"))
    assert "few.csv has 3 columns" in wrong("--load", "t.safetensors", "--data", "few.csv")


def test_a_network_from_before_there_was_ignore_is_read(here):
    tensors, metadata = safetensors.read("flowers.safetensors")
    del metadata["ignored"]
    safetensors.write("flowers.safetensors", tensors, metadata)
    assert "accuracy: " in right(*PREDICT.split())


def test_a_constant_column_is_named_and_harmless(here):
    write("t.csv", [["7", *row] for row in flowers()], ["always", "length", "width", "kind"])
    out = right("--data", "t.csv", "--target", "kind", "--epochs", "2")
    assert "The same in every row to learn from, and so of no use: always\n" in out
    assert "of no use" not in right("--data", "flowers.csv", "--target", "kind", "--epochs", "1")


def test_semicolons_decimal_commas_and_names_in_chinese(here):
    names = {"setosa": "山鸢尾", "versicolor": "变色鸢尾", "virginica": "维吉尼亚"}
    rows = [[a.replace(".", ","), b.replace(".", ","), names[kind]] for a, b, kind in flowers()]
    write("花.csv", rows, ["长", "宽", "种类"], delimiter=";")
    out = right("--data", "花.csv", "--target", "种类", "--epochs", "20")
    assert "semicolons between cells" in out and "山鸢尾 (20)" in out and "is in 花.safetensors" in out
    assert all(cell_len(line) <= 80 for line in out.splitlines())
    assert "山鸢尾" in right("--load", "花.safetensors", "--data", "花.csv")


# --- Ctrl-C


def test_what_was_learnt_before_an_interruption_is_tested_and_saved(here, monkeypatch):
    steps, step = [], tg.optim.Adam.step

    def interrupted(self):
        step(self)
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(tg.optim.Adam, "step", interrupted)
    for quiet in ([], ["--quiet"]):
        steps.clear()
        Path("flowers.safetensors").unlink()
        out = right("--data", "flowers.csv", "--target", "kind", *quiet)
        assert len(steps) == 3 and "test accuracy: " in out
        assert "What was learnt before the interruption is in flowers.safetensors\n" in out
        assert Classifier.load("flowers.safetensors").classes == [*CENTRES]


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "tinygrad_sm", "train", *args]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_in_a_terminal(here):
    line = command("--data", "flowers.csv", "--target", "kind", "--epochs", "2000", "--save", "early.safetensors")

    def heed() -> None:  # where the tests run in the background, processes are born deaf to Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        next(text for text in process.stdout if text.startswith("epoch"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, err) == (0, "") and "epoch 2000/2000" not in out
    assert "before the interruption is in early.safetensors" in out and "test accuracy: " in out


def test_mistakes_in_a_process_of_its_own():
    done = subprocess.run(command("--data", "no such.csv", "--target", "x"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Error: no such.csv: there is no such file\n")


# --- predicting


def test_predictions_are_shown_and_the_rest_offered(here):
    write("new.csv", [row[:2] for row in flowers(25)], ["length", "width"])
    out = right("--load", "flowers.safetensors", "--data", "new.csv")
    lines = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert [line[0] for line in lines] == [str(i) for i in range(2, 22)]
    assert [line[1] for line in lines] == [row[2] for row in flowers(20)]
    assert all(1 / 3 < float(line[2]) <= 1 for line in lines)
    assert "the first 20 of 25 rows; --out predictions.csv writes all" in out
    assert "accuracy" not in out and "ignored" not in out
    write("one.csv", [flowers(1)[0][:2]], ["length", "width"])
    out = right("--load", "flowers.safetensors", "--data", "one.csv")
    assert "one.csv: 1 row;" in out and "the first" not in out


def test_columns_go_by_their_names_and_others_are_ignored_whatever_they_hold(here):
    rows = flowers()
    write("new.csv", [[f"flower {i}", w, "", n] for i, (n, w, _) in enumerate(rows)], ["id", "width", "remark", "length"])
    out = right("--load", "flowers.safetensors", "--data", "new.csv", "--out", "p.csv")
    assert "Not learnt from, and so ignored: id, remark\n" in out
    assert "The class of each row and its probability are in p.csv\n" in out
    right("--load", "flowers.safetensors", "--data", "flowers.csv", "--out", "q.csv", "--quiet")
    assert predicted("p.csv") == predicted("q.csv")


def test_with_the_target_there_is_a_matrix_too(here):
    right("--load", "flowers.safetensors", "--data", "flowers.csv", "--out", "p.csv")
    hits = sum(label == row[2] for (label, _), row in zip(predicted("p.csv"), flowers(), strict=True))
    out = right(*PREDICT.split())
    assert out == right(*PREDICT.split(), "--target", "kind")
    assert f"\naccuracy: {100 * hits / 60:.1f} %\n" in out and "rows: the true class" in out and "ignored" not in out
    quiet = right("--load", "flowers.safetensors", "--data", "flowers.csv", "--out", "p.csv", "--quiet")
    assert quiet.splitlines() == [
        "The class of each row and its probability are in p.csv",
        f"accuracy: {100 * hits / 60:.1f} %",
    ]


def test_without_names_columns_go_by_their_order(here):
    numbers = [row[:2] for row in flowers()]
    write("numbers.csv", numbers)
    write("named.csv", numbers, ["any", "name"])
    right("--load", "flowers.safetensors", "--data", "flowers.csv", "--out", "p.csv")
    assert "taken in their order" in right("--load", "flowers.safetensors", "--data", "numbers.csv", "--out", "q.csv")
    assert predicted("p.csv") == predicted("q.csv")
    right("--load", "bare.safetensors", "--data", "bare.csv", "--out", "p.csv")
    for name in ("numbers.csv", "named.csv"):  # a network that knows no names takes any
        assert "accuracy" not in right("--load", "bare.safetensors", "--data", name, "--out", "q.csv")
        assert predicted("p.csv") == predicted("q.csv")
    write("first.csv", [["1", "2"], *numbers])
    right("--load", "flowers.safetensors", "--data", "first.csv", "--out", "q.csv", "--no-header")
    assert len(predicted("q.csv")) == 61


def test_without_names_the_classes_are_where_they_were(here):
    out = right("--load", "bare.safetensors", "--data", "bare.csv")
    assert "accuracy: 9" in out or "accuracy: 100" in out
    assert "bare.csv: 60 rows; bare.safetensors predicts column 1\n" in out


def test_predictions_are_a_table_that_others_read(here):
    from tinygrad_sm.cli.table import read_table

    names = {"setosa": 'a "quoted", b', "versicolor": "ü\nin two lines", "virginica": "-1"}
    write("odd.csv", [[a, b, names[kind]] for a, b, kind in flowers()], ["length", "width", "kind"])
    right("--data", "odd.csv", "--target", "kind", *QUICK)
    right("--load", "odd.safetensors", "--data", "odd.csv", "--out", "p.csv")
    table = read_table("p.csv", "class")
    assert len(table.X) == 60 and {*table.labels} <= {*names.values()}


# --- mistakes

LEARN = "--data flowers.csv --target kind"
PREDICT = "--load flowers.safetensors --data flowers.csv"

MISTAKES = {  # the command, and what its sentence says
    "--data no.csv --target kind": "no.csv: there is no such file",
    "--data . --target kind": "it is a folder",
    "--data flowers.csv": "--target is missing",
    "--data flowers.csv --target knd": "did you mean 'kind'?",
    "--data flowers.csv --target 4": "target 4 is no column",
    "--data numbers.csv --target length": "has 60 different entries in 60 rows and looks like a measured number",
    "--data tenths.csv --target tenths": "has 4 different entries in 31 rows and looks like a measured number; train tells",
    "--data towns.csv --target kind": "holds text such as 'Rome', and numbers are needed; leave it out with --ignore town",
    "--data towns.csv --target kind --ignore town": "column 'the river' is empty, and numbers are needed; "
    "leave it out with --ignore town,5",
    "--data spaces.csv --target kind": "are its cells separated by spaces?",
    LEARN + " --ignore knd": "did you mean 'kind'?",
    LEARN + " --ignore width,4": "--ignore 4 is no column",
    LEARN + " --ignore kind": "--ignore kind is the target",
    LEARN + " --ignore length --ignore width": "no columns to learn from, 3 columns with the target in all, 2 ignored",
    LEARN + " --lr 0": "--learning-rate: a number above 0",
    PREDICT + " --lr 0.01": "so --learning-rate has no meaning",
    PREDICT + " --ignore length": "so --ignore has no meaning",
    "--data gap.csv --target kind": "line 3, column 'width': empty",
    "--data text.csv --target kind": "line 3, column 'width': 'wide'",
    "--data one.csv --target kind": "every row has the class 'setosa'",
    "--data empty.csv --target kind": "empty.csv is empty",
    "--data head.csv --target kind": "has a header and no rows",
    "--data a.png --target kind": "a.png is a PNG picture",
    "--data single.csv --target kind": "class 'rare' has a single row, line 62, and needs two",
    "--data few.csv --target kind": "few.csv: 6 rows of 3 classes are too few to hold out a share of 0.2",
    "--data far.csv --target kind --test 0.5": "line 62, column 'length': 1.7e+308 is too far",
    LEARN + " --test 0": "--test: a share between 0 and 1",
    LEARN + " --test 1": "--test: a share between 0 and 1",
    LEARN + " --test nan": "--test: a share between 0 and 1",
    LEARN + " --test 0.99": "too few to hold out a share of 0.99",
    LEARN + " --hidden x": "--hidden: widths of layers are whole numbers",
    LEARN + " --hidden 8,0": "--hidden: widths of layers are whole numbers",
    LEARN + " --hidden=-8": "--hidden: widths of layers are whole numbers",
    LEARN + " --hidden 9999,9999": "--hidden: a network of 100,049,997 weights is too large",
    LEARN + " --hidden 99999999999999999999": "--hidden: widths of layers are whole numbers",
    LEARN + " --activation swish": "--activation: 'swish' is none of relu, tanh",
    LEARN + " --learning-rate 0": "--learning-rate: a number above 0",
    LEARN + " --learning-rate nan": "--learning-rate: a number above 0",
    LEARN + " --learning-rate inf": "--learning-rate: a number above 0",
    LEARN + " --learning-rate 1e300": "so nothing was saved; try a smaller --learning-rate than 1e+300",
    LEARN + " --learning-rate 1e308 --epochs 1 --batch-size 60": "has no probabilities, so nothing was saved; try a smaller",
    LEARN + " --save no/x.safetensors": "cannot write 'no/x.safetensors': there is no folder",
    LEARN + " --save .": "cannot write '.': it is a folder",
    LEARN + " --save flowers.csv": "flowers.csv would be replaced",
    LEARN + " --save ./flowers.csv": "flowers.csv would be replaced",
    LEARN + " --out p.csv": "--out is for predictions, with --load",
    "--load no.safetensors --data flowers.csv": "cannot read 'no.safetensors'",
    "--load flowers.csv --data flowers.csv": "is it a safetensors file?",
    "--load foreign.safetensors --data flowers.csv": "was not written by `tinygrad-sm train`",
    "--load flowers.safetensors --data no.csv": "no.csv: there is no such file",
    "--load flowers.safetensors --data a.png": "a.png is a PNG picture",
    "--load flowers.safetensors --data empty.csv": "empty.csv is empty",
    "--load flowers.safetensors --data head.csv": "has a header and no rows",
    "--load flowers.safetensors --data gap.csv": "line 3, column 'width': empty",
    "--load flowers.safetensors --data narrow.csv": "no column is called 'width', which the network needs",
    "--load flowers.safetensors --data other.csv --header": "no column is called 'length', which the network needs",
    "--load flowers.safetensors --data other.csv": "no column is called 'length', which the network needs",
    "--load flowers.safetensors --data bare.csv": "has 3 columns, none of a known name, and the network needs 2 (length",
    "--load flowers.safetensors --data single.csv": "line 62 has the class 'rare', which the network does not know; it knows",
    "--load flowers.safetensors --data huge.csv": "line 2, column 'length': 1.7e+308 is too far",
    "--load bare.safetensors --data wide.csv": "wide.csv has 4 columns, none of a known name, and the network needs 2",
    PREDICT + " --target length": "has learnt the column 'kind', not 'length'",
    PREDICT + " --epochs 3": "so --epochs has no meaning",
    PREDICT + " --test 0.2": "so --test has no meaning",
    PREDICT + " --save x.safetensors": "so --save has no meaning",
    PREDICT + " --learning-rate 0.01": "so --learning-rate has no meaning",
    PREDICT + " --out no/p.csv": "cannot write 'no/p.csv': there is no folder",
    PREDICT + " --out flowers.csv": "flowers.csv would be replaced",
    PREDICT + " --out flowers.safetensors": "flowers.safetensors would be replaced",
}


@pytest.fixture(scope="module")
def broken(made, tmp_path_factory):
    """A folder with these files, and others that are not as they should be."""
    folder = tmp_path_factory.mktemp("broken")
    for file in made.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _break()
    return folder


def _break() -> None:
    head, rows = ["length", "width", "kind"], flowers()
    write("gap.csv", [rows[0], [rows[1][0], "", "setosa"], *rows[2:]], head)
    write("text.csv", [rows[0], [rows[1][0], "wide", "setosa"], *rows[2:]], head)
    write("one.csv", rows[::3], head)
    write("head.csv", [], head)
    write("single.csv", [*rows, ["1", "1", "rare"]], head)
    write("few.csv", rows[:6], head)
    write("far.csv", [*rows, ["1.7e308", "1", "setosa"], *rows], head)
    write("huge.csv", [["1.7e308", "1"]], head[:2])
    write("numbers.csv", [[f"{i}", "1"] for i in range(60)], head[:2])
    write("tenths.csv", [[f"{i % 3 / 10}", "1"] for i in range(30)] + [["0.7", "1"]], ["tenths", "more"])
    write("towns.csv", [[*row, "Rome", ""] for row in rows], [*head, "town", "the river"])
    write("spaces.csv", rows, head, delimiter=" ")
    write("narrow.csv", [row[:1] for row in rows], head[:1])
    write("other.csv", [row[:2] for row in rows], ["a", "b"])
    write("wide.csv", [[*row[:2], *row[:2]] for row in rows])
    Path("empty.csv").touch()
    Path("a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    safetensors.save({"weight": [1.0]}, "foreign.safetensors")


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_sentence_and_leaves_every_file_as_it_was(broken, monkeypatch, line):
    monkeypatch.chdir(broken)
    assert MISTAKES[line] in wrong(*line.split(), "--quiet")


@pytest.mark.parametrize(
    "line", ["--target kind", LEARN + " --epochs 0", LEARN + " --batch-size x", LEARN + " --array torch", LEARN + " --sed 1"]
)
def test_what_typer_refuses_is_a_usage_error(here, line):
    result = run(*line.split())
    assert result.exit_code == 2 and "Usage: " in result.stderr


def test_where_the_network_goes_is_checked_before_the_table_is_read(here):
    assert "cannot write" in wrong("--data", "no.csv", "--target", "kind", "--save", "no/x.safetensors")


def test_a_folder_that_takes_no_files_is_known_before(here, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert wrong(*LEARN.split()) == "cannot write 'flowers.safetensors': permission denied"


def test_the_name_of_a_file_commands_no_terminal(here):
    assert wrong("--data", "\x1b[31mno.csv", "--target", "kind") == r"\x1b[31mno.csv: there is no such file"


# --- the file of a network

names = st.lists(st.text(max_size=20), min_size=2, max_size=5, unique=True)
finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.data(), names, names, st.text(), st.booleans(), st.lists(st.integers(1, 4), max_size=2))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_that_a_network_must_know_survives_the_file(tmp_path, data, columns, classes, target, has_header, hidden):
    ignored = data.draw(st.lists(st.text(max_size=20), max_size=3))
    means = data.draw(st.lists(finite, min_size=len(columns), max_size=len(columns)))
    scales = data.draw(st.lists(finite.map(abs).filter(bool), min_size=len(columns), max_size=len(columns)))
    activation = data.draw(st.sampled_from(["relu", "tanh", "softplus"]))
    network = tg.nn.MLP([len(columns), *hidden, len(classes)], activation)
    saved = Classifier(columns, has_header, target, classes, means, scales, network, ignored)
    loaded = Classifier.load(saved.save(tmp_path / "x.safetensors"))
    for key in ("columns", "has_header", "target", "classes", "means", "scales", "ignored"):
        assert getattr(loaded, key) == getattr(saved, key)
    assert (loaded.network.sizes, loaded.network.activation) == (network.sizes, activation)
    before, after = network.state_dict(), loaded.network.state_dict()
    assert {k: x.tolist() for k, x in before.items()} == {k: x.tolist() for k, x in after.items()}


HOSTILE = {  # an entry of the metadata, what it is made, and what the sentence says
    ("format", ""): "not written by",
    ("format", "pt"): "not written by",
    ("format", "tinygrad-sm train 2"): "of the format 'tinygrad-sm train 2'",
    ("columns", "[]"): "it has 0 columns",
    ("columns", '["length"]'): "1 columns, 2 means and 2 scales",
    ("columns", '["length", "length"]'): "a name twice",
    ("columns", '["length", 3]'): "its columns are no list of the names",
    ("columns", '["length", "\\ud800"]'): "its columns are no list of the names",
    ("columns", '{"length": 1, "width": 2}'): "its columns are no list of the names",
    ("columns", "null"): "its columns are no list of the names",
    ("ignored", "[3]"): "its ignored are no list of the names",
    ("ignored", "null"): "its ignored are no list of the names",
    ("classes", '["setosa"]'): "1 classes",
    ("classes", '["setosa", "virginica"]'): "does not lead from 2 columns to 2 classes",
    ("classes", '["a", "b", "a"]'): "a name twice",
    ("means", "[1.0]"): "2 columns, 1 means and 2 scales",
    ("means", "[NaN, 1.0]"): "its means are no list of numbers",
    ("means", "[1e999, 1.0]"): "its means are no list of numbers",
    ("means", "[true, 1.0]"): "its means are no list of numbers",
    ("means", '["1.0", 1.0]'): "its means are no list of numbers",
    ("means", "[" * 100_000): "its means are no list of numbers",
    ("scales", "[0.0, 1.0]"): "its scales are no list of numbers above 0",
    ("scales", "[-1.0, 1.0]"): "its scales are no list of numbers above 0",
    ("scales", "[1.0]"): "2 columns, 2 means and 1 scales",
    ("scales", "[1.0, 1.0"): "its scales are no list of numbers above 0",
    ("sizes", "[2, 32, 4]"): "does not lead from 2 columns to 3 classes",
    ("sizes", "[3, 32, 3]"): "does not lead from 2 columns to 3 classes",
    ("sizes", "[2]"): "does not lead",
    ("sizes", "[]"): "does not lead",
    ("sizes", "[2, 31, 3]"): "its weights are not those of a network of the widths",
    ("sizes", "[2, 1000000000000000000, 3]"): "its weights are not those of a network of the widths",
    ("sizes", "[2, 32, 32, 3]"): "its weights are not those of a network of the widths",
    ("sizes", "[2, 3]"): "its weights are not those of a network of the widths",
    ("sizes", f"[2, {'9' * 5000}, 3]"): "its sizes are no list of the widths",
    ("sizes", "[2, 32.0, 3]"): "its sizes are no list of the widths",
    ("sizes", "[2, -1, 3]"): "its sizes are no list of the widths",
    ("sizes", "[2, true, 3]"): "its sizes are no list of the widths",
    ("activation", "__import__"): "its activation is '__import__'",
    ("has_header", "1"): "its has_header is neither true nor false",
    ("has_header", "None"): "its has_header is neither true nor false",
}


@pytest.mark.parametrize(("key", "text"), HOSTILE)
def test_metadata_that_cannot_be_are_told(here, key, text):
    tensors, metadata = safetensors.read("flowers.safetensors")
    safetensors.write("flowers.safetensors", tensors, {**metadata, key: text})
    assert HOSTILE[key, text] in wrong(*PREDICT.split())


@pytest.mark.parametrize("key", "format target activation has_header columns classes means scales sizes".split())
def test_metadata_that_lack_something_are_told(here, key):
    tensors, metadata = safetensors.read("flowers.safetensors")
    del metadata[key]
    safetensors.write("flowers.safetensors", tensors, metadata)
    assert ("was not written by" if key == "format" else f"its metadata lack {key}") in wrong(*PREDICT.split())


@pytest.mark.parametrize(
    ("change", "sentence"),
    {
        "layers.1.bias": "its weights are not those",
        "+": "its weights are not those",
        "layers.0.bias:nan": "the weights layers.0.bias are not finite floats",
        "layers.0.bias:inf": "the weights layers.0.bias are not finite floats",
        "layers.0.bias:1": "the weights layers.0.bias are not finite floats",
        "layers.1.weight:1e308": "so large that row 1 has no probabilities",
    }.items(),
)
def test_weights_that_cannot_be_are_told(here, change, sentence):
    tensors, metadata = safetensors.read("flowers.safetensors")
    name, _, number = change.partition(":")
    if name == "+":
        tensors["more"] = tg.nd.asarray([1.0])
    elif number:
        tensors[name] = tg.nd.full(tensors[name].shape, int(number) if number == "1" else float(number))
    else:
        del tensors[name]
    safetensors.write("flowers.safetensors", tensors, metadata)
    assert sentence in wrong(*PREDICT.split())


def test_weights_of_32_bits_are_read_too(here):
    import numpy as np

    tensors, metadata = safetensors.read("flowers.safetensors")
    right(*PREDICT.split(), "--out", "p.csv")
    safetensors.write("flowers.safetensors", {k: np.asarray(x.tolist(), dtype="float32") for k, x in tensors.items()}, metadata)
    right(*PREDICT.split(), "--out", "q.csv")
    for (a, p), (b, q) in zip(predicted("p.csv"), predicted("q.csv"), strict=True):
        assert a == b and p == pytest.approx(q, abs=1e-5)


def test_a_damaged_file_is_a_sentence_or_still_a_network(here):
    whole, draw = Path("flowers.safetensors").read_bytes(), random.Random(0)
    refused = loaded = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(min(len(data), 1200))] = draw.choice(b'\0\xff{}[]",:0919e-truefalsn')
        Path("x.safetensors").write_bytes(data)
        try:
            Classifier.load("x.safetensors")
        except (ClassifierError, safetensors.SafetensorsError) as error:
            refused += "x.safetensors" in str(error)
        else:
            loaded += 1
    assert refused + loaded == 150 and refused > 50 < 2 * loaded


# --- the terminal


def drawn(targets, predictions, names, width=80):
    console = Console(width=width, markup=False, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        console.print(shared.confusion(targets, predictions, names, width))
    return console.export_text()


def test_a_confusion_matrix_counts_every_pair():
    out = drawn([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0], ["x", "y", "z"])
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()[:1] in ("x", "y", "z")}
    assert rows["x"] in (["y", "z", "right"], ["2", "1", "·", "67", "%"])
    assert rows["y"] == ["·", "2", "·", "100", "%"] and rows["z"] == ["1", "·", "0", "0", "%"]
    assert "  2   1   ·    67 %" in out


def test_markup_and_control_characters_in_names_are_shown_as_they_are():
    out = drawn([0, 1, 2], [0, 1, 2], ["[red]x[/]", ":smile:", "\x1b[31m\n"])
    assert "[red]x[/]" in out and ":smile:" in out and "\\x1b[31m\\n" in out and "\x1b" not in out


BURSTING = [
    (10, "{}", "names"),
    (5, "kind {}", "names"),
    (10, "a rather long name of class {}", "numbers"),
    (6, "a kind{}", "names"),
    (20, "kind {}", "numbers"),
    (21, "{}", "pairs"),
    (40, "class {}", "pairs"),
    (20, "猫" * 30 + "{}", "pairs"),
]


@pytest.mark.parametrize(("n", "name", "kind"), BURSTING)
def test_many_classes_or_long_names_do_not_burst_the_terminal(n, name, kind):
    names = [name.format(k) for k in range(n)]
    out = drawn([*range(n), 0, 0, 0, 1], [*range(n), 5, 5, 2, 3], names)
    assert all(cell_len(line) <= 80 for line in out.splitlines())
    assert ("most often confused" in out) == (kind == "pairs")
    if kind == "pairs":
        lines = [line.split()[-2:] for line in out.splitlines() if line.strip()]
        assert lines[3:] == [["2", "4"], ["1", "4"], ["1", "2"]]
    else:
        head = next(line.split() for line in out.splitlines() if line.rstrip().endswith(" right"))
        assert head == [*(" ".join(names).split() if kind == "names" else map(str, range(1, n + 1))), "right"]


def test_no_mistakes_among_many_classes_are_told_too():
    out = drawn([*range(30)], [*range(30)], [f"{k}" for k in range(30)])
    assert "none" in out


@given(st.lists(st.text(), min_size=1, max_size=25, unique=True), st.data())
@settings(max_examples=25, deadline=None)
def test_no_name_whatsoever_bursts_the_terminal(names, data):
    number = st.integers(0, len(names) - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), max_size=30))
    out = drawn([t for t, _ in pairs], [p for _, p in pairs], names)
    assert all(cell_len(line) <= 80 for line in out.splitlines())


@given(st.text(), st.integers(6, 40))
def test_a_shown_name_is_short_and_printable(name, width):
    text = shared.shown(name, width)
    assert cell_len(text) <= width and text.isprintable()
    if name.isprintable() and cell_len(name) <= width:
        assert text == name
