"""Programs as `pipeline()`: StepSpecs are the same in it, and the program still runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Rewrites

PROGRAM = """\
import logging
from marin.execution.step_runner import StepRunner
from marin.execution.step_spec import StepSpec


def raw(name):
    return StepSpec(name=name, fn=put)


def main() -> None:
    # prepare
    logging.basicConfig()
    steps = [
        raw("a"),
        StepSpec(
            name="b",
            fn=put,  # as it is
        ),
    ]
    StepRunner().run(steps, max_concurrent=2)


if __name__ == "__main__":
    main()
"""
MOVED = """\
import logging
from marin_build import StepRunner, StepSpec


def raw(name):
    return StepSpec(name=name, fn=put, resumable=True)


def pipeline():
    # prepare
    logging.basicConfig()
    steps = [
        raw("a"),
        StepSpec(
            name="b",
            fn=put,
            resumable=True,  # as it is
        ),
    ]
    return steps


if __name__ == "__main__":
    StepRunner().run(pipeline(), max_concurrent=2)
"""
RUN = "    StepRunner().run(steps, max_concurrent=2)\n"


def test_a_main_that_runs_steps_is_a_pipeline(rewrites: Rewrites) -> None:
    assert rewrites(PROGRAM).text == MOVED


def test_what_a_program_does_after_the_run_it_still_does(rewrites: Rewrites) -> None:
    text = PROGRAM.replace(RUN, f"{RUN}    print(steps)\n")
    main = f"def main() -> None:\n    steps = pipeline()\n{RUN}    print(steps)\n"
    assert rewrites(text).text == MOVED.replace(
        "    return steps\n", f"    return steps\n\n\n{main}"
    ).replace("StepRunner().run(pipeline(), max_concurrent=2)\n", "main()\n", 1)


def test_a_run_under_the_guard_is_a_pipeline(rewrites: Rewrites) -> None:
    text = 'from marin.execution.step_runner import StepRunner\n\nif __name__ == "__main__":\n'
    made = rewrites(f"{text}    StepRunner().run([a])\n")
    assert made.text.endswith(
        "\n\ndef pipeline():\n    return [a]\n\n\n"
        'if __name__ == "__main__":\n    StepRunner().run(pipeline())\n'
    )


def test_what_the_guard_does_before_the_run_the_pipeline_does(rewrites: Rewrites) -> None:
    text = (
        "import work\nfrom marin.execution.executor import executor_main\n\n\n"
        'if __name__ == "__main__":\n    steps = [a]\n'
        "    # and\n    if BIG:\n        steps += [b]\n"
    )
    made = rewrites(f"{text}    executor_main(steps=steps)\n")
    body = "    steps = [a]\n    # and\n    if BIG:\n        steps += [b]\n    return steps\n"
    assert made.text.endswith(f"\n\n\ndef pipeline():\n{body}")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("logging.basicConfig()", "args = parser.parse_args()", "reads its command line"),
        ("logging.basicConfig()", "if X: return 1", "may end before it runs steps"),
        (RUN, f"{RUN}    print(x)\n", "uses `x`"),
        (RUN, f"{RUN}{RUN}", "2 calls run steps"),
        ("main() -> None:", "main(x=1) -> None:", "`main` takes arguments"),
        ("    main()\n", "    main()\nmain()\n", "is not called under the main guard alone"),
        ("import logging", "import logging\ntargets = []", "another `pipeline` or `targets`"),
        (RUN, f"    done = {RUN.strip()}\n", "what the run returns is used"),
    ],
)
def test_a_program_that_does_more_stays(rewrites: Rewrites, old: str, new: str, why: str) -> None:
    """Its steps are taken from its call, as before; its StepSpecs are ours all the same."""
    text = PROGRAM.replace(old, new, 1).replace("# prepare", "x = 1")
    made = rewrites(text)
    assert why in made.left[0].why
    assert "def pipeline" not in made.text
    assert "from marin_build import StepRunner, StepSpec" in made.text


def test_specs_among_executor_steps_stay_those_of_marin(rewrites: Rewrites) -> None:
    made = rewrites(PROGRAM.replace(RUN, f"{RUN}    train(raw('a').as_executor_step())\n"))
    assert "from marin.execution.step_spec import StepSpec" in made.text
    assert "`as_executor_step` puts it among ExecutorSteps" in [each.why for each in made.left]


def test_specs_that_only_moved_steps_read_are_no_executor_steps(rewrites: Rewrites) -> None:
    text = PROGRAM.replace('raw("a")', 'raw("a").as_executor_step()')
    made = rewrites(text)
    assert made.text == MOVED


def test_a_file_without_anything_of_marin_is_not_touched(rewrites: Rewrites) -> None:
    text = "from marin_build import StepSpec\n\nword = 'é'\n\n\ndef pipeline():\n    return []\n"
    made = rewrites(text)
    assert (made.text, made.moved, made.left) == (text, (), ())


def test_places_are_found_after_letters_of_several_bytes(rewrites: Rewrites) -> None:
    """Trees count bytes; an edit at the wrong place would garble the file."""
    text = PROGRAM.replace('raw("a")', 'raw("é"); x = raw("ü")')
    text = text.replace("StepSpec(name=name, fn=put)", 'StepSpec(name="ö" + name, fn=put)')
    assert (
        'StepSpec(name="ö" + name, fn=put, resumable=True)'
        in rewrites(text.replace('"é"); x = raw("ü")', '"é" "ü")')).text
    )
