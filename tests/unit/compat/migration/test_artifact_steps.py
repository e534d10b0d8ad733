"""ArtifactSteps as `@step(version=...)` functions: name and version stay their address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Rewrites

TEXT = """\
from marin.execution.lazy import ArtifactStep, run
from work import Fit, Model, fit


def model(name, base, texts):
    return ArtifactStep(
        name=f"models/{name}",
        version="2026.11.03",
        artifact_type=Model,
        run=fit,
        build_config=lambda ctx: Fit(
            out=ctx.output_path,  # its place
            texts=[ctx.artifact_path(text) for text in texts],
            table=f"{ctx.artifact_path(table)}/text.txt",
            base=ctx.artifact_path(base),
            rate=0.5,
        ),
        deps=(*texts, table, base),
    )


if __name__ == "__main__":
    run(model("a", base, texts))
"""
MOVED = """\
from marin_build import step
from work import Fit, Model, fit


def model(name, base, texts):
    @step(name=f"models/{name}", version="2026.11.03", resumable=True)
    def make(output: str, texts: list[str], table: str, base: str, rate: float) -> Model:
        return fit(Fit(
            out=output,  # its place
            texts=texts,
            table=f"{table}/text.txt",
            base=base,
            rate=rate,
        ))

    return make(texts=[text for text in texts], table=table, base=base, rate=0.5)


def pipeline():
    return [model("a", base, texts)]
"""


def test_a_recipe_becomes_arguments(rewrites: Rewrites) -> None:
    """What the config writes itself was identity, and stays so."""
    made = rewrites(TEXT)
    assert made.text == MOVED
    assert not made.left


def test_a_recipe_may_be_a_dict_or_a_config_with_another_place(rewrites: Rewrites) -> None:
    head = TEXT[: TEXT.index("def model")]
    call = 'one = ArtifactStep(\n    "one", "dev", Model, remote(fit, resources=BIG, name="x"),\n'
    end = '    lambda ctx: {"out": ctx.output_path, "schema": "v1", "config": config},\n)\n'
    head = f"from marin.execution.remote import remote\n{head}"
    guard = "if __name__ == '__main__':\n    run(one)\n"
    made = rewrites(f"{head}{call}{end}{guard}")
    assert (
        "resumable=True, resources=BIG)\ndef make_one(output: str, schema: str, config)"
        in made.text
    )
    assert 'return fit({"out": output, "schema": schema, "config": config})' in made.text
    end = "    lambda ctx: replace(config, out=ctx.output_path),\n)\n"
    made = rewrites(f"{head}{call}{end}{guard}")
    assert "return fit(replace(config, out=output))" in made.text
    assert "one = make_one(config=config)" in made.text


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("rate=0.5", "rate=ctx.runtime_arg('rate')", "its config asks for `ctx.runtime_arg`"),
        ("base=ctx.artifact_path(base)", "base=ctx.resolved(base).x", "asks for `ctx.resolved`"),
        ("rate=0.5", "rate=rate_of(ctx)", "its config gives `ctx` to `rate_of`"),
        ("lambda ctx:", "lambda ctx, r=1:", "no lambda of `ctx` that makes a config"),
        ("deps=(*texts,", "deps=(other, *texts,", "needs `other`, which its config does not read"),
        ("run=fit", "run=fit, runtime_args={}", "it has `runtime_args`"),
        ("run=fit", "run=fit, expected_fingerprint='a'", "it has `expected_fingerprint`"),
        ("run=fit", "run=partial(fit, 1)", "its function is computed"),
    ],
)
def test_what_is_not_simple_stays(rewrites: Rewrites, old: str, new: str, why: str) -> None:
    made = rewrites(TEXT.replace(old, new, 1))
    assert why in made.left[0].why
    assert "return ArtifactStep(" in made.text


def test_artifacts_in_comprehensions_and_loops_stay(rewrites: Rewrites) -> None:
    text = TEXT.replace("return ArtifactStep(", "return [ArtifactStep(", 1)
    text = text.replace("base),\n    )\n", "base),\n    ) for _ in range(2)]\n")
    assert rewrites(text).left[0].why == "it is made in a comprehension"
    text = TEXT.replace("    return Art", "    for _ in range(2):\n      it = Art", 1)
    assert rewrites(text).left[0].why == "it is made in a loop"


def test_a_version_that_the_run_gives_is_a_parameter_of_the_pipeline(rewrites: Rewrites) -> None:
    text = TEXT.replace("    run(model(", "    experiment_main(build)()\n    #").replace(
        "import ArtifactStep, run",
        "import ArtifactStep\n"
        "from marin.execution.build_context import resolve_version\n"
        "from marin.experiment.cli import experiment_main",
    )
    text = text.replace('"2026.11.03"', 'resolve_version("m", None)')
    made = rewrites(text.replace('    #"a", base, texts))\n', ""))
    assert made.text.endswith(
        "def pipeline(version: str):\n"
        "    with build_context(BuildContext(VersionCodex(version))):\n"
        "        return build()\n"
    )
    names = "import BuildContext, VersionCodex, build_context\n"
    assert f"from marin.execution.build_context {names}" in made.text
