"""From a pipeline to the page that a browser shows, with nothing in between left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Window
    from tests.e2e.support import Project

PIPELINE = """\
from marin_build import ResourceConfig, StepSpec, command

raw = command("echo 1 > {output}/x", name="data/raw")
clean = command("cp {raw}/x {output}/x", name="data/clean", deps={"raw": raw})
broken = command("echo out of luck, '</script>' {said}; exit 3", name="broken",
                 deps={"clean": clean}, params={"said": "do-not-tell"})


def fit(output):
    return 1


def pipeline(width: int = 1):
    train = StepSpec(name="train", fn=fit, deps=[clean], hash_attrs={"width": width},
                     resources=ResourceConfig.with_tpu("v5p-64"), tags=("model",),
                     description="the model of the paper", env_vars={"TOKEN": "do-not-tell"},
                     retries=1)
    return [train, broken]
"""


def _draw(project: Project, *args: str) -> Path:
    done = project.run("graph", "--format", "html", "-o", "graph.html", *args)
    assert (done.code, done.out, done.err) == (0, "", "written: graph.html\n")
    return project.root / "graph.html"


def test_the_page_of_a_pipeline_says_what_plan_says(window: Window, project: Project) -> None:
    """Else the picture and the plan disagree, and nobody knows whom to believe."""
    project.pipeline(PIPELINE)
    assert project.run("apply", "data/clean").code == 0
    assert project.run("apply", "broken").code == 1
    page = window.visit(_draw(project, "--engine", "kubernetes"))
    assert page.locator("#legend").inner_text().split() == (
        [
            "built",
            "2",
            "to",
            "build",
            "1",
            "stale",
            "0",
            "failed",
            "1",
            "held",
            "0",
            "blocked",
            "0",
            "later",
            "0",
        ]
    )
    planned = project.run("plan", "--engine", "kubernetes").out
    assert page.locator(".summary").inner_text() in planned
    page.locator('[data-target^="broken_"]').click()
    text = page.locator("#panel").inner_text()
    assert "failed before (attempt 1" in text
    assert page.locator("#panel .log").inner_text() == "out of luck, </script> [TOKEN]"
    folder = page.locator("#panel a").first.get_attribute("href") or ""
    assert folder == project.output_of("broken").as_uri()
    page.locator('[data-target^="train_"]').click()
    text = page.locator("#panel").inner_text()
    assert "the model of the paper" in text
    assert "kubernetes: v5p-64" in text
    assert "pipeline.py:14" in text
    assert "do-not-tell" not in project.file("graph.html"), "values of the environment are not told"
    window.screenshot("program")
    page = window.visit(_draw(project))
    box = page.locator('[data-target^="train_"]')
    assert box.get_attribute("aria-label") == "train, blocked", "it cannot run on this machine"


def test_the_page_shows_what_changed_since_the_nearest_build(
    window: Window, project: Project
) -> None:
    """Else the page says that something is stale, and not why."""
    project.pipeline(PIPELINE.replace("return [train, broken]", "return [train]"))
    project.pipeline(project.file("pipeline.py").replace('with_tpu("v5p-64")', "with_cpu()"))
    assert project.run("apply").code == 0
    page = window.visit(_draw(project, "--set", "width=2"))
    assert page.locator('.chip[data-state="stale"] b').inner_text() == "1"
    page.locator('[data-target^="train_"]').click()
    assert page.locator("#panel .changes dt").inner_text() == "attrs.width"
    assert page.locator("#panel del").inner_text() == "1"
    assert page.locator("#panel ins").inner_text() == "2"
    commands = page.locator("#panel .command pre").all_inner_texts()
    assert commands[0].startswith("marin-build apply --set width=2 train_")
    assert project.run(*commands[0].split()[1:]).code == 0, "the command of the page works"


def test_the_page_of_a_saved_plan_leads_to_its_scripts(window: Window, project: Project) -> None:
    """Else whoever reviews a plan looks for the script of a step by its hash."""
    project.pipeline(PIPELINE)
    assert project.run("plan", "-o", "plans/next").code == 0
    done = project.run("graph", "--from-plan", "plans/next", "-o", "pages/graph.html")
    assert (done.code, done.out, done.err) == (0, "", "written: pages/graph.html\n")
    page = window.visit(project.root / "pages" / "graph.html")
    page.click("#open-all")
    page.locator('[data-target^="data/clean_"]').click()
    link = page.locator("#panel a", has_text="run.sh")
    script = page.evaluate("link => link.href", link.element_handle())
    folder = project.root / "plans" / "next" / "steps"
    (expected,) = folder.glob("data/clean_*/run.sh")
    assert script == expected.as_uri()
    assert "marin-build apply plans/next" in page.locator("#panel").inner_text()


def test_a_page_is_the_same_when_drawn_twice(project: Project) -> None:
    """Else a committed page changes with every run."""
    project.pipeline(PIPELINE)
    project.run("apply", "data/raw")
    project.environment["PYTHONHASHSEED"] = "1"
    first = _draw(project).read_bytes()
    project.environment["PYTHONHASHSEED"] = "2"
    assert _draw(project).read_bytes() == first
