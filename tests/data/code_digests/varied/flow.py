"""Every public name of this module has a digest in `code_digests.json`."""

import dataclasses
import enum
import functools
from pathlib import Path

import marin_build
from marin_build import (
    Artifact,
    MarinBuildError,
    ResourceConfig,
    Retries,
    StepRunner,
    StepSpec,
    command,
    remote,
    source,
    step,
    worker_id,
)

from . import tools
from .tools import text
from .tools.text import Counter, Deep, clean, logged

RATE = 0.25
NAMES = ["a", "b"]


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


@dataclasses.dataclass(frozen=True)
class Settings:
    size: Size = Size.SMALL
    words: tuple = ("x", "y")

    def total(self):
        return len(self.words) * RATE


def plain(output):
    """Docstrings are no code."""
    return output


def constants(output):
    return RATE, NAMES


def across(output):
    return clean(str(output)), text.clean("x"), tools.clean("y"), marin_build.__version__


def nested(output):
    def inner(n):
        def innermost():
            return clean(str(n))

        return innermost()

    return [inner(n) for n in range(3)]


def recursive(output, n=3):
    return n and other(output, n - 1)


def other(output, n):
    return recursive(output, n)


@logged
def decorated(output):
    return Deep(1).add([output])


@functools.lru_cache(maxsize=None)
def cached(output):
    return clean(output)


def _closure(*held, **named):
    def inside(output):
        return held, named, output

    return inside


def defaults(output, size=Size.LARGE, where=Path("x"), settings=Settings(), *, many=(1, 2.5, None)):
    return output


def classes(output, kinds=(ResourceConfig, StepSpec, Retries, MarinBuildError, Artifact)):
    return kinds


def generator(output):
    yield from clean(output)


async def coroutine(output):
    async with output as opened:
        return await opened


def matching(output):
    match output:
        case Settings(size=Size.SMALL):
            return 1
        case [first, *_]:
            return first
    try:
        return {**output}
    except* ValueError:
        yes = (no := output) and not no
    return yes


def _made_of(*names):
    scope = _closure(1)
    for _ in names:
        scope = _closure(scope)
    return scope


closure = _closure(1, "two", 3.0, None, [4], {"five": {6}}, b"seven", at=Path("eight"))
closure_of_code = _closure(clean, Counter, Deep(2), Counter.made, Deep(1).add, len, functools.reduce)
closure_of_ours = _closure(
    ResourceConfig.with_cpu(), ResourceConfig, Retries(), StepRunner, StepSpec, MarinBuildError,
    remote, step, command, source, worker_id, functools.partial(worker_id), marin_build,
)
closure_of_values = _closure(Settings(), Size.LARGE, functools.partial(clean, text="t"))
partial = functools.partial(across, "there")
method = Deep(7).add
class_method = Counter.made
static_method = Deep.twice
first_lambda, second_lambda = [lambda output: clean(output), lambda output: output]
made_of_many = _made_of(1, 2, 3)
run_remotely = remote(across, resources=ResourceConfig.with_cpu())
raw = StepSpec(name="raw", fn=plain)
holds_steps = _closure(raw, source(Path(__file__).parent / "tools" / "text.py", name="text"))
shell = command("sort {raw} > {output}/x", name="shell", deps={"raw": raw})
shell_fn = shell.fn


@step
def declared(output: Path, raw: Path, n: int = 1) -> int:
    return len(clean(raw.read_text())) + n


@step(code="rebuild", resources=ResourceConfig.with_cpu())
def declared_with_options(output: Path) -> None:
    Counter().add([])


bound_fn = declared(raw=raw, n=2).fn
