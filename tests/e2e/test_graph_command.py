"""`marin-build graph`: the pipeline as a picture of what is."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.page_reader import data_in

from .support import OUTPUTS, PATIENCE, PROGRAM, check_golden, project_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Project

FORMATS = ("text", "dot", "mermaid", "svg", "json")
STATES = """\
from marin_build import ResourceConfig, StepSpec, command

raw = StepSpec(name="raw")
built = command("echo 1 > {output}/x", name="data/built", tags=("data",))
failed = command("echo '<no> & \\"never\\"' >&2; exit 3", name="failed")
held = command("cat {built}/x > {output}/x", name="held", deps={"built": built})
train = StepSpec(name="train/model", fn=print, deps=[built, failed],
                 resources=ResourceConfig.with_cpu(cpu=1, ram="1Gi"), tags=("big", "tpu"))


def pipeline():
    return [
        StepSpec(name="blocked", fn=print, deps=[raw, built]),
        train,
        StepSpec(name="report", fn=print, deps=[train, held, built], version="1.0"),
    ]
"""
NODES = {
    "raw": "blocked", "data/built": "built", "failed": "failed", "held": "held",
    "blocked": "blocked", "train/model": "to build", "report": "to build",
}  # fmt: skip


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A pipeline with a target in every state; tests only look at it."""
    with project_in(tmp_path_factory.mktemp("states")) as made:
        _have_every_state(made)
        yield made


def _have_every_state(project: Project) -> None:
    project.pipeline(STATES)
    assert project.run("apply", "data/built").code == 0
    assert project.run("apply", "failed").code == 1
    planned = project.run("plan", "--json").document["decisions"]
    (target,) = [decision["target"] for decision in planned if decision["name"] == "held"]
    project.write(f"{OUTPUTS}/{target}/.executor_status", "RUNNING")
    project.write(
        f"{OUTPUTS}/{target}/.executor_status.lock",
        json.dumps({"worker_id": "ray-worker-17", "timestamp": 1.0}),
    )


def draw(project: Project, kind: str, *args: str) -> str:
    """Return the picture in a format."""
    done = project.run("graph", "--format", kind, *args)
    written = f"written: {args[args.index('-o') + 1]}\n" if "-o" in args else ""
    assert (done.code, done.err) == (0, written)
    return done.out


def test_pictures_are_known_byte_for_byte(states: Project) -> None:
    """Else pictures in documents change without anybody having meant it."""
    check_golden("graph", {f"states.{kind}": states.mask(draw(states, kind)) for kind in FORMATS})


def test_pictures_are_the_same_when_drawn_twice(states: Project) -> None:
    """Else a committed picture changes with every run."""
    code = (
        "from marin_build.cli.main import run\n"
        f"for kind in {FORMATS}:\n"
        "    assert run(['graph', '--format', kind]) == 0\n"
    )
    one, two = (
        states.execute([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}) for seed in "12"
    )
    assert (one.code, one.err) == (0, "")
    assert "digraph" in one.out
    assert one.out == two.out


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_can_be_written_to_a_file(states: Project, kind: str) -> None:
    """Else it must be piped, and a failure leaves an empty file."""
    assert draw(states, kind, "-o", f"pictures/new/graph.{kind}") == ""
    assert states.file(f"pictures/new/graph.{kind}") == draw(states, kind)


def test_the_name_of_the_file_says_what_is_written(states: Project) -> None:
    """Else a file that ends in .svg holds a tree of text."""
    for name, start in (("g.svg", "<svg"), ("g.html", "<!DOCTYPE html>"), ("g.dot", "digraph")):
        assert states.run("graph", "-o", name).code == 0
        assert states.file(name).startswith(start)
    assert states.run("graph", "-o", "g.svg", "--format", "json").code == 0
    assert states.file("g.svg").startswith("{")


def test_a_file_that_cannot_be_written_is_named(states: Project) -> None:
    """Else a traceback is all there is."""
    states.write("file", "")
    done = states.run("graph", "-o", "file/graph.txt")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: cannot write `file/graph.txt`: ")


def test_json_has_every_node_and_edge(states: Project) -> None:
    """Else programs that draw pipelines themselves draw others."""
    document = json.loads(draw(states, "json"))
    nodes = {node["id"]: node for node in document["nodes"]}
    assert {node["name"]: node["state"] for node in nodes.values()} == NODES
    edges = {(nodes[e["source"]]["name"], nodes[e["target"]]["name"]) for e in document["edges"]}
    assert edges == {
        ("raw", "blocked"), ("data/built", "blocked"), ("data/built", "train/model"),
        ("failed", "train/model"), ("data/built", "held"), ("train/model", "report"),
        ("held", "report"), ("data/built", "report"),
    }  # fmt: skip
    by_name = {node["name"]: node for node in nodes.values()}
    assert by_name["train/model"]["tags"] == ["big", "tpu"]
    assert by_name["train/model"]["resources"] == "1 cpu"
    assert by_name["report"]["id"] == "report@1.0"
    assert by_name["failed"]["reason"].startswith("failed before (attempt 1, ")


def test_svg_is_xml_that_shows_every_node_in_the_colour_of_its_state(states: Project) -> None:
    """Else a browser shows an error, or green for what failed."""
    root = ET.fromstring(draw(states, "svg"))
    space = {"s": "http://www.w3.org/2000/svg"}
    shown: dict[str, str] = {}
    colours: dict[str, set[str | None]] = {}
    for group in root.findall("s:g", space):
        name, state = (text.text or "" for text in group.findall("s:text", space))
        shown[name] = state
        rectangle = group.find("s:rect", space)
        assert rectangle is not None
        colours.setdefault(state, set()).add(rectangle.get("fill"))
        assert float(rectangle.get("x", "-1")) >= 0
        assert float(rectangle.get("y", "-1")) >= 0
    assert shown == NODES
    assert all(len(found) == 1 for found in colours.values())
    assert len({colour for found in colours.values() for colour in found}) == 5
    assert len(root.findall("s:path", space)) == 8


def test_boxes_do_not_lie_on_each_other(project: Project) -> None:
    """Else a wide pipeline is a picture that nobody can read."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "def pipeline():\n"
        "    layers = [[]]\n"
        "    for depth in range(6):\n"
        "        layers.append([StepSpec(name=f'{\"long/\" * (i % 3)}s{depth}-{i}', fn=print,\n"
        "                                deps=layers[-1][i // 2:i + 2]) for i in range(7)])\n"
        "    return layers[-1]\n"
    )
    root = ET.fromstring(draw(project, "svg"))
    boxes = [
        tuple(float(rect.get(key, "0")) for key in ("x", "y", "width", "height"))
        for rect in root.iterfind("{*}g/{*}rect")
    ]
    assert len(boxes) > 20
    for n, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[:n]:
            apart = x >= left + wide or left >= x + width or y >= top + high or top >= y + height
            assert apart


def test_hostile_messages_stay_text(project: Project) -> None:
    """Else the message of a failed step breaks the picture, or runs in a browser."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "def fn(output):\n"
        "    raise RuntimeError('</title><script>alert(1)</script> & \"\\x1b[31m\\x00 ]]> é')\n"
        "targets = [StepSpec(name='one', fn=fn, tags=('<b>', '\"'))]\n"
    )
    project.run("apply")
    root = ET.fromstring(draw(project, "svg"))
    assert root.findall(".//{*}script") == []
    assert "<script>" in (root.findtext("{*}g/{*}title") or "")
    json.loads(draw(project, "json"))


def test_text_is_a_tree_of_what_needs_what(states: Project) -> None:
    """Else people must open another program to see their pipeline."""
    assert states.mask(draw(states, "text")) == (
        "x blocked_HASH\n"
        "|-- x raw_HASH\n"
        "`-- = data/built_HASH\n"
        "+ report@1.0\n"
        "|-- + train/model_HASH\n"
        "|   |-- = data/built_HASH\n"
        "|   `-- ! failed_HASH\n"
        "|-- ? held_HASH\n"
        "|   `-- = data/built_HASH\n"
        "`-- = data/built_HASH\n"
    )


def test_what_was_shown_is_not_shown_again(project: Project) -> None:
    """Else a graph of twenty diamonds is a tree of a million lines."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "def pipeline():\n"
        "    last = []\n"
        "    for depth in range(30):\n"
        "        last = [StepSpec(name=f's{depth}-{i}', fn=print, deps=last) for i in range(2)]\n"
        "    return last\n"
    )
    lines = draw(project, "text").splitlines()
    assert len(lines) < 130
    assert any(line.endswith(" (above)") for line in lines)


def test_only_what_a_target_needs_is_drawn(states: Project) -> None:
    """Else one step of a thousand cannot be looked at alone."""
    document = json.loads(draw(states, "json", "held"))
    assert {node["name"] for node in document["nodes"]} == {"data/built", "held"}


def test_a_built_pipeline_is_drawn_as_built(project: Project) -> None:
    """Else what was not read is drawn as missing."""
    project.pipeline(
        "from marin_build import command\n"
        "one = command('echo 1 > {output}/x', name='one')\n"
        "targets = [command('cp {one}/x {output}', name='two', deps={'one': one})]\n"
    )
    project.run("apply")
    for kind in FORMATS:
        text = draw(project, kind)
        assert "to build" not in text
        assert "to-build" not in text
        assert "+" not in text or kind != "text"
    nodes = json.loads(draw(project, "json"))["nodes"]
    assert [node["state"] for node in nodes] == ["built", "built"]


def test_mermaid_says_what_it_cannot_draw(project: Project) -> None:
    """Else a browser shows an error in place of a picture."""
    project.pipeline(
        "from marin_build import StepSpec\n"
        "one = [StepSpec(name=f'a{i}', fn=print) for i in range(23)]\n"
        "targets = [StepSpec(name=f'b{i}', fn=print, deps=one) for i in range(23)]\n"
    )
    done = project.run("graph", "--format", "mermaid")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: mermaid draws at most 500 edges, and there are 529\n"
        "hint: draw folders as one with --collapse 1, name some targets, or use --format html\n"
    )


def test_a_terminal_gets_colours_and_a_pipe_does_not(states: Project) -> None:
    """Else logs are full of control codes, or a terminal is grey."""
    assert "\x1b[" not in draw(states, "text")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, "graph"], cwd=states.root, env=states.environ({"TERM": "xterm"}), stdout=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # Linux says so at the end of a pseudo terminal
            pass
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    assert b"\x1b[31m" in shown, "failed is red"
    assert b"\x1b[32m" in shown, "built is green"


FOLDERS = """\
from marin_build import StepSpec

raw = [StepSpec(name=f"raw/part-{i}", fn=print) for i in range(60)]
clean = [StepSpec(name=f"clean/part-{i}", fn=print, deps=[one]) for i, one in enumerate(raw)]
targets = [StepSpec(name="all", fn=print, deps=[*raw, *clean])]
"""


def test_folders_are_drawn_as_one(project: Project) -> None:
    """Else a pipeline of a thousand shards has no picture for a document."""
    project.pipeline(FOLDERS)
    text = draw(project, "mermaid", "--collapse", "1", "--reduce")
    assert text.splitlines()[:6] == [
        "flowchart LR",
        '  n0["raw/#42; #40;60#41;"]:::to-build',
        '  n1["clean/#42; #40;60#41;"]:::to-build',
        '  n2["all"]:::to-build',
        "  n0 --> n1",
        "  n1 --> n2",
    ]
    document = json.loads(draw(project, "json", "--collapse", "1"))
    assert [(n["id"], n.get("targets", 1)) for n in document["nodes"][:2]] == [
        ("raw/*", 60), ("clean/*", 60)
    ]  # fmt: skip
    assert len(json.loads(draw(project, "json", "--collapse", "2"))["nodes"]) == 121


def test_a_large_tree_fits_a_terminal(project: Project) -> None:
    """Else the tree of a thousand steps scrolls by, and nobody has seen anything."""
    project.pipeline(FOLDERS)
    assert project.mask(draw(project, "text")) == (
        "+ all_HASH\n|-- + raw/part-# (60)\n`-- + clean/part-# (60)\n    `-- + raw/part-# (60)\n"
    )


def test_edges_that_others_imply_can_be_left_out(states: Project) -> None:
    """Else a picture is a ball of wool."""
    document = json.loads(draw(states, "json", "--reduce"))
    names = {node["id"]: node["name"] for node in document["nodes"]}
    edges = {(names[edge["source"]], names[edge["target"]]) for edge in document["edges"]}
    assert edges == {
        ("raw", "blocked"), ("data/built", "blocked"), ("data/built", "train/model"),
        ("failed", "train/model"), ("data/built", "held"), ("train/model", "report"),
        ("held", "report"),
    }  # fmt: skip


def test_only_some_states_are_drawn(states: Project) -> None:
    """Else what failed must be looked for in a picture of all."""
    document = json.loads(draw(states, "json", "--status", "failed", "--status", "to-build"))
    assert {node["name"]: node["state"] for node in document["nodes"]} == {
        "failed": "failed", "train/model": "to build", "report": "to build",
    }  # fmt: skip
    assert "held" in states.mask(draw(states, "text", "--status", "held"))


def test_a_saved_plan_is_drawn_without_its_store(project: Project) -> None:
    """Else a plan that somebody sent can be read, but not looked at."""
    project.pipeline(STATES.replace("raw, built", "built").replace("[built, failed]", "[built]"))
    project.run("apply", "data/built")
    assert project.run("plan", "-o", "plan").code == 0
    (project.root / "pipeline.py").unlink()
    (project.root / OUTPUTS).rename(project.root / "gone")
    for kind in (*FORMATS, "html"):
        text = project.mask(draw(project, kind, "--from-plan", "plan"))
        if kind == "html":
            text = json.dumps(data_in(text))
        for name in ("data/built", "train/model", "report", "held", "blocked"):
            assert (name if kind != "mermaid" else name.replace("_", "#95;")) in text
        if kind == "text":
            assert text.splitlines()[:2] == ["+ blocked_HASH", "`-- = data/built_HASH"]


def test_an_edited_plan_is_not_drawn(project: Project) -> None:
    """Else a picture shows what nobody planned."""
    project.pipeline(STATES)
    project.run("plan", "-o", "plan")
    assert project.run("graph", "--from-plan", "plan", "held").code == 4
    text = project.file("plan/plan.json")
    project.write("plan/plan.json", text.replace('"held', '"hold'))
    assert project.run("graph", "--from-plan", "plan").code == 5


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["-o", "graph.png"], "no format has the suffix of `graph.png`"),
        (["--from-plan", "plan", "--set", "rows=2"], "a saved plan fixes `--set`"),
    ],
)
def test_what_would_be_passed_over_is_refused(states: Project, args: list[str], error: str) -> None:
    """Else a tree of text is called graph.png, and a parameter is typed for nothing."""
    before = states.tree(".").keys()
    done = states.run("graph", *args)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"error: {error}\n")
    assert states.tree(".").keys() == before


def test_a_picture_without_targets_says_why(project: Project) -> None:
    """Else no output looks like a program that failed."""
    project.pipeline(STATES)
    done = project.run("graph", "--status", "stale", "--status", "failed")
    assert (done.code, done.out, done.err) == (0, "", "no target is stale or failed\n")
    done = project.run("graph", "--status", "stale", "--format", "json")
    assert done.document["nodes"] == []
