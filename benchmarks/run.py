"""Runs the benchmarks: every contender in a process of its own, taking turns, with the peers in environments of their own.

python benchmarks/run.py [NAME ...] [--quick] [--rounds N] [--python PATH] [--record]
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import family

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = {"micrograd": "micrograd==0.1.0", "numpy": "numpy"}  # installed into .venvs/bench-<name>-<python version>


@dataclass(frozen=True)
class Contender:
    """One way to do the work: `script` with `arguments`, where `environment` (None: ours) is installed."""

    name: str
    arguments: str
    environment: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """Contenders at one workload. `ratios` and `limits` say what is wanted: (name, name, at most) and (name, at most)."""

    name: str
    title: str
    unit: str
    script: str
    repeats: tuple[int, int]  # full, quick: the workload's last argument
    contenders: tuple[Contender, ...]
    ratios: tuple[tuple[str, str, float | None], ...] = ()
    limits: tuple[tuple[str, float], ...] = ()


TG, MICRO, MICROGRAD = "tinygrad_sm.Value", "tinygrad_sm.micro", "micrograd"


def moons(collector: str, at_most: float | None) -> Benchmark:
    return Benchmark(
        f"moons-gc-{collector}",
        f"micrograd's demo step (100 points, MLP 2-16-16-1), collector {collector}",
        "ms",
        "moons_step.py",
        (6, 2),
        (
            Contender(MICRO, f"tinygrad_sm.micro {collector}"),
            Contender(MICROGRAD, f"micrograd {collector}", "micrograd"),
        ),
        ((MICRO, MICROGRAD, at_most),),
    )


def scalar(name: str, title: str, collector: str) -> Benchmark:
    wanted = collector == "on"
    return Benchmark(
        f"scalar-{name}-gc-{collector}",
        f"a scalar operation forward and backward: {title}, collector {collector}",
        "ns",
        "scalar_ops.py",
        (60, 10),
        (
            Contender(TG, f"tinygrad_sm {name} {collector}"),
            Contender(MICRO, f"tinygrad_sm.micro {name} {collector}"),
            Contender(MICROGRAD, f"micrograd {name} {collector}", "micrograd"),
        ),
        ((TG, MICROGRAD, 0.55 if wanted else None), (MICRO, MICROGRAD, None)),
        ((TG, 800.0),) if wanted else (),
    )


def fused(name: str, title: str, kind: str, ops: tuple[str, ...], sizes: str, at_most: float, turns: int) -> Benchmark:
    """Ops fused against composed, each in turns with itself; a limit leaves out the 10 % that a busy machine makes."""
    return Benchmark(
        f"family-{name}",
        f"forward and backward fused, against composed: {title}",
        "times as long",
        "family.py",
        (turns, max(turns // 4, 3)),
        tuple(Contender(op, f"{kind} {sizes} {op}", "numpy" if kind == "numpy" else None) for op in ops),
        limits=tuple((op, at_most) for op in ops),
    )


MEMORY_ROWS = ("128", "512", "2048")

BENCHMARKS = (
    moons("on", 0.1),
    moons("off", None),
    *(scalar("chain", "the chain y = a * y + x", collector) for collector in ("on", "off")),
    *(scalar("mixed", "an expression of sixty operations of all kinds", collector) for collector in ("on", "off")),
    Benchmark(
        "memory",
        "peak memory of a chain of a million operations, forward and backward",
        "bytes a node",
        "million_nodes.py",
        (1_000_000, 200_000),
        (Contender(TG, "tinygrad_sm bytes"), Contender(MICRO, "tinygrad_sm.micro bytes")),
        limits=((TG, 350.0),),
    ),
    Benchmark(
        "linear",
        "a chain of a million operations and one of two million, forward and backward",
        "s",
        "million_nodes.py",
        (1, 1),
        (Contender("two million", "tinygrad_sm seconds 2000000"), Contender("one million", "tinygrad_sm seconds 1000000")),
        (("two million", "one million", 2.5),),
    ),
    Benchmark(
        "digits-step",
        "a training step of a 64-32-10 network on 32 digits: on tg.nd, by hand in the standard library, and a Value a number",
        "ms",
        "digits_step.py",
        (150, 20),
        (
            Contender("tinygrad_sm", "tinygrad_sm"),
            Contender("by hand", "by-hand"),
            Contender("a Value a number", "micrograd 3", "micrograd"),
        ),
        (("tinygrad_sm", "by hand", None), ("tinygrad_sm", "a Value a number", 0.01)),
    ),
    Benchmark(
        "digits-step-in-turns",
        "the same on tg.nd and by hand, step by step in turns",
        "times as long",
        "digits_step.py",
        (150, 20),
        (Contender("tinygrad_sm / by hand", "in-turns"),),
        limits=(("tinygrad_sm / by hand", 1.3),),
    ),
    fused("nd-32x10", "every op of the family on tg.nd, 32 x 10", "nd", family.OPS, "32 10", 1.1, 20),
    fused("nd-8x1000", "every op of the family on tg.nd, 8 x 1000", "nd", family.OPS, "8 1000", 1.3, 5),
    fused("numpy-losses", "cross-entropy on numpy, 256 x 1000", "numpy", ("cross_entropy",), "256 1000", 1 / 1.2, 40),
    fused("numpy-attention", "attention on numpy, 8 x 128 x 64", "numpy", ("attention",), "128 128", 1 / 1.2, 40),
    fused(
        "numpy-vocabulary",
        "linear + cross-entropy on numpy, 512 rows of 64, 4096 classes",
        "numpy",
        ("linear_cross_entropy",),
        "512 4096",
        1 / 1.2,
        8,
    ),
    Benchmark(
        "family-memory",
        "linear + cross-entropy of 4096 classes on numpy: the peak beyond inputs and gradients, for so many rows",
        "kB",
        "family.py",
        (1, 1),
        tuple(Contender(rows, f"memory {rows} 4096", "numpy") for rows in MEMORY_ROWS),
        ((MEMORY_ROWS[-1], MEMORY_ROWS[0], 1.5),),
    ),
    Benchmark(
        "import",
        "import in a fresh interpreter",
        "ms",
        "import_time.py",
        (1, 1),
        (Contender("tinygrad_sm", "tinygrad_sm"), Contender("numpy", "numpy", "numpy")),
        (("tinygrad_sm", "numpy", 0.6),),
    ),
)


def peer_python(peer: str, python: str, version: str) -> str:
    """The interpreter of the peer's environment, which is made if it is not there."""
    folder = ROOT / ".venvs" / f"bench-{peer}-{version}"
    found, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists():
        print(f"Installing {PEERS[peer]} into {folder.relative_to(ROOT)}", file=sys.stderr)
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        install = [found, "-m", "pip", "install", "-qq", "--disable-pip-version-check", PEERS[peer]]
        subprocess.run(install, check=True)
        stamp.touch()
    return str(found)


def run_once(benchmark: Benchmark, contender: Contender, python: str, quick: bool) -> dict:
    """What one process of the contender reports."""
    arguments = contender.arguments.split()
    if not arguments[-1].isdigit():
        arguments.append(str(benchmark.repeats[quick]))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [python, str(HERE / benchmark.script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{benchmark.name}: {contender.name} failed\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(benchmark: Benchmark, pythons: dict[str | None, str], rounds: int, quick: bool) -> dict[str, list[float]]:
    """The figures of every contender, one a round; in each round all of them take their turn."""
    figures: dict[str, list[float]] = {c.name: [] for c in benchmark.contenders}
    for i in range(rounds):
        checks = []
        for contender in benchmark.contenders[:: 1 if i % 2 else -1]:
            result = run_once(benchmark, contender, pythons[contender.environment], quick)
            figures[contender.name].append(result["value"])
            checks.append(result["check"])
        if any(c is not None and not math.isclose(c, checks[0], rel_tol=1e-9) for c in checks):
            raise SystemExit(f"{benchmark.name}: the contenders computed different things: {checks}")
    return figures


def shown(x: float) -> str:
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def spread(figures: list[float]) -> str:
    """The median and the range."""
    return f"{shown(statistics.median(figures))} [{shown(min(figures))} .. {shown(max(figures))}]"


def table(benchmark: Benchmark, figures: dict[str, list[float]]) -> str:
    """The figures in Markdown: a row for each contender, then the ratios, each the median over the rounds."""
    verdicts = {True: "met", False: "**missed**"}
    limits = dict(benchmark.limits)
    rows = []
    for name, row in figures.items():
        limit = limits.get(name)
        wanted = "" if limit is None else f"at most {shown(limit)}: {verdicts[statistics.median(row) <= limit]}"
        rows.append((name, f"{spread(row)} {benchmark.unit}", wanted))
    for ours, theirs, limit in benchmark.ratios:
        ratios = [a / b for a, b in zip(figures[ours], figures[theirs], strict=True)]
        wanted = "" if limit is None else f"at most {limit:g}: {verdicts[statistics.median(ratios) <= limit]}"
        rows.append((f"{ours} / {theirs}", f"{spread(ratios)}", wanted))
    widths = [max(len(row[i]) for row in [*rows, ("", "median [range]", "wanted")]) for i in range(3)]
    lines = [("", "median [range]", "wanted"), *rows]
    text = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return f"### {benchmark.name}: {benchmark.title}\n\n" + "\n".join(text) + "\n"


def machine() -> str:
    """The kind of processor and its system."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="The benchmarks of tinygrad_sm.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {' '.join(b.name for b in BENCHMARKS)}; all of them")
    parser.add_argument("--quick", action="store_true", help="a first impression in a minute: short runs, two rounds")
    parser.add_argument("--rounds", type=int, help="turns of every contender (5)")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="the interpreter to measure (this one)")
    parser.add_argument("--record", action="store_true", help="write the figures to benchmarks/RESULTS.md")
    options = parser.parse_args()
    wanted = [b for b in BENCHMARKS if not options.names or any(b.name.startswith(n) for n in options.names)]
    if not wanted:
        parser.error(f"no benchmark is called {' or '.join(options.names)}; there are {' '.join(b.name for b in BENCHMARKS)}")
    rounds = options.rounds or (2 if options.quick else 5)

    ask = "import platform as p; print(p.python_implementation(), p.python_version())"
    implementation, version = subprocess.run(
        [options.python, "-c", ask], capture_output=True, text=True, check=True
    ).stdout.split()
    pythons: dict[str | None, str] = {None: options.python}
    for peer in {c.environment for b in wanted for c in b.contenders if c.environment is not None}:
        pythons[peer] = peer_python(peer, options.python, f"{implementation}-{version}".lower())

    before, parts = load(), []
    for benchmark in wanted:
        parts.append(table(benchmark, measure(benchmark, pythons, rounds, options.quick)))
        print(parts[-1], flush=True)
    about = (
        f"{implementation} {version}; {machine()}; {datetime.date.today()}; {rounds} rounds; "
        f"load average {before} at the start, {load()} at the end (1.0 of it is ours)."
    )
    print(about)
    if options.record:
        (HERE / "RESULTS.md").write_text(f"# One run of the benchmarks\n\n{about}\n\n" + "\n".join(parts))


if __name__ == "__main__":
    main()
