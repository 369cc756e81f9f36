"""What one request costs stays within what is written down, and the gate that demands it does shut."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from perf import costs
from perf.costs import Limits
from perf.counting import Costs, all_shapes
from tests.house.source import ROOT

SHAPES = [shape.name for shape in all_shapes()]
WRITTEN = costs.read_limits(costs.LIMITS.read_text(encoding="utf-8"))
COSTS = Costs(calls=100, native_calls=200, instructions=3000, peak_bytes=4000)
LIMITS = Limits(costs.this_python(), 3, {"json": COSTS})


def run(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Count in a process of its own, whose loop is not being debugged and whose hashes are always the same."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BUSBAR_"))}
    environ["PYTHONHASHSEED"] = "0"
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=19)


@pytest.fixture(scope="module")
def counted() -> dict[str, Costs]:
    """Return what is counted now."""
    if not WRITTEN.fits:
        pytest.skip(f"the counts are those of Python {WRITTEN.python}")
    done = run("perf.costs", "--json")
    assert done.returncode == 0, done.stderr
    return {shape: Costs(**found) for shape, found in json.loads(done.stdout).items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_request_costs_no_more_than_written(counted: dict[str, Costs], shape: str) -> None:
    """No request calls more functions, runs more instructions or holds more memory than the file allows."""
    complaints = costs.complain(WRITTEN, shape, counted[shape])
    assert not complaints, "\n".join(complaints)


@pytest.mark.skipif(not WRITTEN.fits, reason=f"the counts are those of Python {WRITTEN.python}")
@pytest.mark.parametrize(("burden", "code"), [("0", 0), ("30", 3)])
def test_thirty_calls_more_shut_the_gate(burden: str, code: int) -> None:
    """Thirty calls that do nothing are noticed, and what wraps the gateway to make them is not."""
    done = run("tests.perf.burdened_costs", burden, "--only", "json")
    assert done.returncode == code, done.stdout + done.stderr
    assert ("calls of Python functions per request" in done.stdout) is (code == 3)


@pytest.mark.skipif(not WRITTEN.fits, reason=f"the counts are those of Python {WRITTEN.python}")
def test_counts_are_the_same_every_time(counted: dict[str, Costs]) -> None:
    """A second process counts the same to a part in a hundred, memory included."""
    again = Costs(**json.loads(run("perf.costs", "--json", "--only", "json-keys").stdout)["json-keys"])
    first = counted["json-keys"]
    assert (again.calls, again.native_calls, again.instructions) == pytest.approx(
        (first.calls, first.native_calls, first.instructions), rel=0.01
    )
    assert again.peak_bytes == pytest.approx(first.peak_bytes, rel=0.02)


def test_functions_of_a_request_are_listed() -> None:
    """The list that explains a count names functions of ours and of C, and no folder of this machine."""
    done = run("perf.costs", "--calls", "--only", "json")
    assert "gateway/app.py Gateway.serve" in done.stdout
    assert "→ " in done.stdout
    assert str(ROOT) not in done.stdout


def test_nothing_is_counted_while_something_watches() -> None:
    """The loop's debug mode adds calls of its own, so there are no counts under it."""
    environ = os.environ | {"PYTHONASYNCIODEBUG": "1"}
    command = [sys.executable, "-m", "perf.costs"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=19)
    assert done.returncode == 2
    assert "NOT COUNTED" in done.stdout


@pytest.mark.parametrize("kind", ["calls", "native_calls", "instructions", "peak_bytes"])
def test_count_above_its_head_room_is_named(kind: str) -> None:
    """Three percent more pass, one more than that is named with the way to look at it and the way to allow it."""
    most = LIMITS.most("json", kind)
    assert costs.complain(LIMITS, "json", replace(COSTS, **{kind: most})) == []
    first, how, purpose = costs.complain(LIMITS, "json", replace(COSTS, **{kind: most + 1}))
    assert costs.TITLES[kind] in first
    assert "--only json --calls" in how
    assert "--write" in purpose


def test_each_count_that_rose_has_its_own_sentence() -> None:
    """What to do about it is said once."""
    complaints = costs.complain(LIMITS, "json", Costs(999, 999, 3000, 4000))
    assert [line.partition(":")[0] for line in complaints].count("json") == 2
    assert len(complaints) == 4


def test_shape_without_limits_does_not_pass() -> None:
    """A new kind of request is counted only once somebody writes its counts down."""
    (complaint,) = costs.complain(LIMITS, "other", COSTS)
    assert "other" in complaint


def test_file_is_read_as_it_was_written() -> None:
    """What `--write` makes is what the gate reads, comment and all."""
    assert costs.read_limits(costs.render_limits(LIMITS)) == LIMITS


def test_shipped_file_knows_every_shape() -> None:
    """It is what the command would write, and leaves no kind of request out."""
    assert list(WRITTEN.costs) == SHAPES
    assert costs.render_limits(WRITTEN) == costs.LIMITS.read_text(encoding="utf-8")


def test_row_says_how_far_a_count_is_from_what_is_written() -> None:
    """Each count stands beside its change, and what is not written down is new."""
    row = costs.render_row(LIMITS, "json", replace(COSTS, calls=110))
    assert row.split()[1:4] == ["110", "+10.0", "%"]
    assert costs.render_row(LIMITS, "other", COSTS).count("new") == 4


def test_unknown_count_in_the_file_is_an_error() -> None:
    """A typing error does not switch a limit off."""
    text = costs.render_limits(LIMITS).replace("native_calls", "native_cals")
    with pytest.raises(TypeError):
        costs.read_limits(text)
