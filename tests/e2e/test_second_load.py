"""A pipeline that declares something else each time it is loaded is refused when it is emitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .support import Project

CHANGING = """\
import os, random, time, uuid
from marin_build import StepSpec, command, step

def build(output, noise=random.random()):
    print(noise)

@step
def made(output, at: float): ...

targets = [
    StepSpec(name="attribute", hash_attrs={"config": {"seed": random.random()}}, fn=print),
    StepSpec(name="process", hash_attrs={"pid": os.getpid()}, fn=print),
    StepSpec(name="order", hash_attrs={"words": list({f"w{i}" for i in range(40)})}, fn=print),
    StepSpec(name=f"name-{uuid.uuid4().hex}", fn=print),
    StepSpec(name="reads", fn=build),
    made(at=time.time()),
    command(["echo", str(time.time_ns())], name="words"),
    StepSpec(name="same", hash_attrs={"a": 1}, fn=print),
]
targets.append(StepSpec(name="below", deps=[targets[0]], fn=print))
"""


def test_what_differs_at_each_load_is_named(project: Project) -> None:
    """Else `plan -o` succeeds, and every replay exits 5 with advice that cannot help."""
    project.pipeline(CHANGING)
    done = project.run("plan", "-o", "saved")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: the pipeline declares something else each time it is loaded")
    for said in (
        "attribute: attrs.config.seed", "process: attrs.pid", "order: attrs.words",
        "made: attrs.at", "words: command", "reads: code changed", ": renamed from name-",
    ):  # fmt: skip
        assert said in done.err
    assert "below" not in done.err
    assert "same:" not in done.err
    assert not (project.root / "saved").exists()
    assert project.run("plan").code == 0


def test_a_parameter_of_the_run_is_the_same_twice(project: Project) -> None:
    """Else a pipeline with parameters, a policy or a prefix of its own could not be saved."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "def pipeline(seed: int = 1):\n"
        "    return [StepSpec(name='a', hash_attrs={'seed': seed}, fn=lambda o, seed=seed: seed)]\n"
    )
    words = ["--set", "seed=4", "--code-policy", "rebuild", "--prefix", "elsewhere"]
    done = project.run("plan", "-o", "saved", *words)
    assert (done.code, done.err) == (0, "")
