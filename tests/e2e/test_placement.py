"""Identity knows no place: the same targets under another prefix, on other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .support import DIAMOND

if TYPE_CHECKING:
    from .support import Project

LEAKING = """\
from pathlib import Path
from marin_build import ResourceConfig, StepSpec, step
from marin_build.workspace.workspace import current_workspace

TPU = ResourceConfig.with_tpu("v5p-8", regions=["us-east5"])

@step(resources=TPU)
def train(output: Path, batch: int) -> None:
    (output / "x").write_text(str(batch))

def pipeline(how: str = "not"):
    batch = {
        "not": 8,
        "chips": 8 * TPU.device.chips,
        "region": len(TPU.regions[0]),
        "prefix": len(current_workspace().prefix),
    }[how]
    model = train(batch=batch)
    return StepSpec(name="eval", fn=print, deps=[model], resources=TPU)
"""


def test_a_pipeline_that_knows_no_place_passes(project: Project) -> None:
    project.pipeline(DIAMOND)
    checked = project.run("plan", "--check-placement", "--json")
    assert checked.code == 0
    assert checked.err == "placement: 4 identities are the same elsewhere\n"
    assert len(checked.document["decisions"]) == 4


def test_an_identity_that_depends_on_the_place_is_refused(project: Project) -> None:
    """Else moving to another region, or another slice, builds everything again."""
    project.pipeline(LEAKING)
    assert project.run("plan", "--check-placement").code == 0
    for how, there in (("chips", "32 -> 4096"), ("region", "8 -> 12"), ("prefix", "-> 39")):
        refused = project.run("plan", "--check-placement", "--set", f"how={how}")
        assert refused.code == 4
        lines = project.mask(refused.err).splitlines()
        assert lines[0] == (
            "error: 2 targets would be built again elsewhere: identity depends on the place"
        )
        assert lines[1].startswith("  here -> there: train_HASH: attrs.batch ")
        assert lines[1].endswith(there)
        assert project.run("plan", "--set", f"how={how}").code == 0  # only where it is asked for


def test_a_pipeline_that_cannot_be_loaded_elsewhere_says_why(project: Project) -> None:
    project.pipeline(
        LEAKING.replace(
            "def pipeline", "assert TPU.device.type == 'v5p-8', 'v5p only'\n\ndef pipeline"
        )
    )
    refused = project.run("plan", "--check-placement")
    assert refused.code == 4
    assert "the pipeline cannot be loaded elsewhere" in refused.err
    assert "v5p only" in refused.err
    assert "Traceback" not in refused.err.splitlines()[0]


def test_reads_across_regions_are_told_with_what_the_configuration_knows(project: Project) -> None:
    """Else data of one continent is read on another, every epoch."""
    project.pipeline(LEAKING)
    outputs = project.root / "outputs"
    project.write(
        "marin-build.toml",
        f'prefix = "outputs"\n[budgets]\ntpu = 4\n[regions]\n"{outputs}" = "europe-west4"\n',
    )
    planned = project.run("plan")
    assert "warning: eval_HASH runs in us-east5 and reads train_HASH from europe-west4" in (
        project.mask(planned.out)
    )
    (read,) = project.run("plan", "--json").document["cross_region_reads"]
    assert (read["regions"], read["region"]) == (["us-east5"], "europe-west4")
    project.write("marin-build.toml", "[regions]\n'gs://x' = 1\n")
    assert project.run("plan").code == 4
