"""Data that is there already becomes the output of a target; nobody touches it where it lies."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from .support import CHECKOUT, DIAMOND, OUTPUTS

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Done, Gate, Project

TEXT = "one\ntwo\nthree\nfour\nfive\n"
REPORT = "5 10 of 5\n"
MARIN = CHECKOUT / "tests/data/marin"


def seen_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all that somebody could have changed below a folder."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.stat().st_ino,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *folder.rglob("*")]
    }


@pytest.fixture
def old(project: Project) -> Path:
    """The diamond, not built; elsewhere a corpus of five lines, with its artifact."""
    project.pipeline(DIAMOND)
    folder = project.root / "attic/old corpus"
    project.write("attic/old corpus/text.txt", TEXT)
    project.write("attic/old corpus/.artifact.json", '{"lines": 5}')
    return folder


def adopted(project: Project, old: Path, *more: str) -> Done:
    """Adopt the old corpus."""
    done = project.run("adopt", "corpus", "--from", old, *more)
    assert (done.code, done.err) == (0, ""), done
    return done


@pytest.mark.parametrize("how", ["apply", "thread", "saved", "bash"])
def test_adopted_data_is_read_where_it_lies(project: Project, old: Path, how: str) -> None:
    """Else the steps below look into an empty folder, or the data must be copied after all."""
    before = seen_of(old)
    done = adopted(project, old, "--reason", "built by hand in May")
    assert project.mask(done.out) == (
        "`corpus_HASH` is adopted: 1 file verified, 24 B: PROJECT/attic/old corpus\n"
    )
    if how in {"saved", "bash"}:
        assert project.run("plan", "-o", "saved").code == 0
    commands = {"apply": ["apply"], "thread": ["apply", "--isolation", "thread"],
                "saved": ["apply", "saved"]}  # fmt: skip
    done = project.bash("saved/run.sh") if how == "bash" else project.run(*commands[how])
    assert (done.code, done.err) == (0, ""), done
    assert (project.output_of("report") / "report.txt").read_text() == REPORT
    assert project.counts() == {"left": 1, "report": 1, "right": 1}
    assert project.run("apply").out.startswith("nothing to do: 4 targets are reused\n")
    assert seen_of(old) == before
    record = json.loads((project.output_of("corpus") / ".executor_info").read_text())
    assert (record["adopted_from"], record["files"], record["bytes"], record["note"]) == (
        str(old), 1, 24, "built by hand in May")  # fmt: skip
    assert record["code_digest"] is None


def test_the_plan_says_what_was_adopted_and_names_nothing_anew(project: Project, old: Path) -> None:
    """Else nobody sees that a model rests on data of unknown origin, or adopting rebuilds all."""
    before = project.run("plan", "--json").document["decisions"]
    adopted(project, old, "--reason", "of May\x1b[31m")
    after = project.run("plan", "--json").document["decisions"]
    names = ("target", "fingerprint", "output_path")
    assert [[d[n] for n in names] for d in before] == [[d[n] for n in names] for d in after]
    (reason,) = after[0]["reasons"]
    told = {"kind": "adopted", "location": "attic/old corpus", "files": 1, "bytes": 24}
    assert reason.items() >= told.items()
    explained = project.run("explain", "corpus").out
    assert f"existing output, 1 file verified, 24 B: {old}\n" in explained
    assert "\nbecause   of May\\x1b[31m\n" in explained


def test_code_that_changed_is_no_drift_of_what_was_adopted(project: Project, old: Path) -> None:
    """Else every adopted output is reported for ever: no code of ours made it."""
    adopted(project, old)
    project.run("apply")
    project.pipeline(DIAMOND.replace('f"line {i}\\n"', 'f"LINE {i}\\n"'))
    assert "drift" not in project.run("plan", "corpus").out


COMMANDS = """\
from marin_build import command
raw = command("echo built > {output}/raw.txt", name="raw")
targets = [command("cat {raw}/raw.txt > {output}/copy.txt", name="copy", deps={"raw": raw})]
"""


def test_emitted_scripts_name_the_real_place(project: Project) -> None:
    """Else the script that is reviewed reads another folder than the one that is run."""
    project.pipeline(COMMANDS)
    project.write("it's here/raw.txt", "found\n")
    assert project.run("adopt", "raw", "--from", "it's here").code == 0
    project.run("plan", "-o", "saved")
    (script,) = (project.root / "saved/steps").rglob("run.sh")
    assert """ raw="$project"'/it'"'"'s here' """ in script.read_text()
    assert project.bash("saved/run.sh").code == 0
    assert (project.output_of("copy") / "copy.txt").read_text() == "found\n"


def test_a_script_of_before_does_not_read_the_empty_output(project: Project) -> None:
    """Else a saved plan builds on nothing, because somebody adopted the data since."""
    project.pipeline(COMMANDS)
    project.write("here/raw.txt", "found\n")
    project.run("plan", "-o", "saved")
    project.run("adopt", "raw", "--from", "here")
    done = project.bash("saved/run.sh")
    assert done.code == 5, done
    assert "is not the one the pipeline declares" in done.err
    assert f": {project.root}/here\n" in done.err
    assert "make the plan again" in done.err
    assert project.run("apply", "saved").code == 0
    assert (project.output_of("copy") / "copy.txt").read_text() == "found\n"


EARLY = """\
import functools
from pathlib import Path
from marin_build import StepSpec

def copy(source, output):
    Path(output, "copy.txt").write_text(Path(source, "raw.txt").read_text())

def build(output):
    raise RuntimeError("must not be built")

raw = StepSpec(name="raw", fn=build)
copied = StepSpec(name="copy", fn=functools.partial(copy, raw.output_path), deps=[raw])
"""


def test_a_path_that_was_kept_at_the_declaration_is_the_real_one(project: Project) -> None:
    """Else steps that compute paths early, in modules of their own, read an empty folder."""
    project.write("steps.py", EARLY)
    project.pipeline("from steps import copied\ntargets = [copied]\n")
    project.write("here/raw.txt", "found\n")
    assert project.run("adopt", "raw", "--from", "here").code == 0
    done = project.run("apply")
    assert (done.code, done.err) == (0, ""), done
    assert (project.output_of("copy") / "copy.txt").read_text() == "found\n"


def test_a_pipeline_whose_order_depends_on_a_path_is_built_all_the_same(project: Project) -> None:
    """Else what the plan said of one step is done to another."""
    project.write("steps.py", EARLY)
    project.pipeline(
        "import functools\nfrom marin_build import StepSpec\nfrom steps import copied, copy, raw\n"
        "more = [StepSpec(name=n, fn=functools.partial(copy, raw.output_path), deps=[raw])\n"
        "        for n in 'abc']\n"
        "targets = [copied, *more]\n"
        "targets = targets[::-1] if raw.output_path.endswith('here') else targets\n"
    )
    project.write("here/raw.txt", "found\n")
    assert project.run("adopt", "raw", "--from", "here").code == 0
    done = project.run("apply", "--json", "a", "copy")
    assert (done.code, done.err) == (0, ""), done
    assert sorted(done.names_of("step_succeeded")) == ["a", "copy"]
    assert project.run("apply").code == 0
    assert (project.output_of("b") / "copy.txt").read_text() == "found\n"


def test_a_place_that_would_change_an_identity_is_refused(project: Project) -> None:
    """Else the same pipeline builds all over again on the next machine."""
    project.write("steps.py", EARLY)
    project.pipeline(
        "from marin_build import StepSpec\nfrom steps import build, raw\n"
        "targets = [StepSpec(name='copy', fn=build, deps=[raw],\n"
        "                    hash_attrs={'folder': raw.output_path.rpartition('/')[2][:4]})]\n"
    )
    project.write("here/raw.txt", "found\n")
    assert project.run("adopt", "raw", "--from", "here").code == 0
    done = project.run("apply")
    assert done.code == 4, done
    assert "the identity of steps depends on where adopted data lies" in done.err


def test_what_lies_at_the_output_itself_is_adopted_and_never_deleted(project: Project) -> None:
    """Else the only copy of somebody's data goes with the next `--force`."""
    project.pipeline(DIAMOND)
    (target,) = [d for d in project.run("plan", "--json").document["decisions"]
                 if d["name"] == "corpus"]  # fmt: skip
    project.write(f"{target['output_path']}/text.txt", TEXT)
    artifact = '{\n  "lines": 5\n}'
    project.write(f"{target['output_path']}/.artifact.json", artifact)
    done = project.run("adopt", "corpus")
    assert (done.code, done.err) == (0, ""), done
    assert project.run("apply").code == 0
    assert (project.output_of("report") / "report.txt").read_text() == REPORT
    for forced in (["apply", "--force", "corpus"], ["apply", "--force", "corpus", "report"]):
        done = project.run(*forced)
        assert done.code == 5, done
        assert "to build it again would delete that data" in done.out
        assert "move `" in done.err
    output = project.output_of("corpus")
    assert (output / "text.txt").read_text() == TEXT
    assert (output / ".artifact.json").read_text() == artifact
    assert project.status_of("corpus") == "SUCCESS"
    (output / ".executor_status").unlink()  # whatever becomes of the status
    assert project.run("apply", "corpus").code == 1
    assert (output / "text.txt").read_text() == TEXT
    shutil.rmtree(output)
    assert project.run("apply", "corpus").code == 0
    assert project.counts()["corpus"] == 1


def test_forced_it_is_built_at_its_own_place_and_read_there(project: Project, old: Path) -> None:
    """Else there is no way back from adopted data, or it is written over."""
    before = seen_of(old)
    adopted(project, old)
    done = project.run("apply", "--force", "corpus", "report")
    assert (done.code, done.err) == (0, ""), done
    assert (project.output_of("report") / "report.txt").read_text() == "3 6 of 3\n"
    record = json.loads((project.output_of("corpus") / ".executor_info").read_text())
    assert (record["adopted_from"], record["files"], record["bytes"]) == (None, 1, 21)
    assert seen_of(old) == before


def test_data_that_changed_since_stops_what_reads_it(project: Project, old: Path) -> None:
    """Else a model is trained on half of the data that was registered, and nobody knows."""
    project.pipeline(DIAMOND.replace("return [report(", "return [corpus(lines=9), report("))
    done = project.run("adopt", "corpus&+report", "--from", old)
    assert done.code == 0, done
    (old / "text.txt").write_text("one\n")
    project.write("attic/old corpus/more.txt", "")
    done = project.run("apply", "-k", "--json")
    assert done.code == 5, done
    assert done.names_of("step_stopped") == ["left", "right"]
    message = next(e for e in done.events if e["event"] == "step_stopped")["message"]
    assert "`text.txt` has 4 B, not 24 B, `more.txt` is new" in message
    assert done.names_of("step_succeeded") == ["corpus"], "what reads nothing of it goes on"
    again = project.run("adopt", "corpus&+report", "--from", old, "--force")
    assert again.code == 0, again
    assert project.run("apply").code == 0
    (old / "text.txt").unlink()
    assert project.run("apply").code == 0, "nothing is to be built, so nothing is looked at"


def test_adopted_data_without_an_artifact_says_so(project: Project, old: Path) -> None:
    """Else the error names a step that never ran, and tells to change it."""
    (old / ".artifact.json").unlink()
    adopted(project, old)
    done = project.run("apply", "-k")
    assert done.code == 1
    assert f"the adopted data at `{old}` has no artifact" in done.err
    assert project.counts() == {"left": 1, "right": 1}


def test_adopted_twice_is_adopted_once_and_may_move(project: Project, old: Path) -> None:
    """Else a script that adopts cannot be run again, or a bucket can never be renamed."""
    adopted(project, old)
    twice = adopted(project, old)
    assert " was adopted already: " in twice.out
    new = old.with_name("new")
    old.rename(new)
    refused = project.run("adopt", "corpus", "--from", new)
    assert (refused.code, "--force adopts it anew" in refused.err) == (4, True), refused
    moved = project.run("adopt", "corpus", "--from", new, "--force", "--json").document
    assert (moved["location"], moved["attempt"], moved["already"]) == (str(new), 2, False)
    assert project.run("apply").code == 0
    assert (project.output_of("report") / "report.txt").read_text() == REPORT


def test_a_power_cut_after_adopting_rebuilds_nothing(project: Project, old: Path) -> None:
    """Else data that is older than the cut is built again for nothing."""
    adopted(project, old)
    record = json.loads((project.output_of("corpus") / ".executor_info").read_text())
    note = {"run": record["run"], "boot": "another", "synced_until": "",
            "host": record["provenance"]["host"]}  # fmt: skip
    project.write(f"{OUTPUTS}/.marin-build/unsynced/{record['run']}.json", json.dumps(note))
    assert project.run("plan", "corpus", "--json").document["summary"]["reuse"] == 1


def _nothing(project: Project, old: Path) -> list[str]:
    return ["--from", "attic/nowhere"]


def _a_file(project: Project, old: Path) -> list[str]:
    return ["--from", str(old / "text.txt")]


def _empty_name(project: Project, old: Path) -> list[str]:
    return ["--from", ""]


def _running(project: Project, old: Path) -> list[str]:
    (old / ".executor_status").write_text("RUNNING")
    return ["--from", str(old)]


def _failed(project: Project, old: Path) -> list[str]:
    (old / ".executor_status").write_text("FAILED")
    return ["--from", str(old)]


def _inside(project: Project, old: Path) -> list[str]:
    return ["--from", OUTPUTS]


def _damaged(project: Project, old: Path) -> list[str]:
    project.run("apply", "corpus", "--set", "lines=2", "--prefix", "other")
    made = project.output_of("corpus", "other")
    (made / "text.txt").write_text("line 0\n")
    return ["--from", str(made)]


def _adopted_itself(project: Project, old: Path) -> list[str]:
    project.run("adopt", "corpus", "--from", str(old), "--prefix", "other")
    return ["--from", str(project.output_of("corpus", "other"))]


def _built(project: Project, old: Path) -> list[str]:
    project.run("apply", "corpus")
    return ["--from", str(old)]


@pytest.mark.parametrize(
    ("prepare", "code", "says"),
    [
        (_nothing, 4, "there is nothing to adopt at `"),
        (_a_file, 4, "there is nothing to adopt at `"),
        (_empty_name, 4, "names no place"),
        (_running, 5, "is not finished\n  status: RUNNING"),
        (_failed, 5, "is not finished\n  status: FAILED"),
        (_inside, 4, "lie inside each other"),
        (_damaged, 5, "  differs: `text.txt` has 7 B, not 14 B"),
        (_adopted_itself, 4, "was adopted itself\n  its data: "),
        (_built, 4, "is built already"),
    ],
)
def test_what_is_no_output_is_not_adopted(
    project: Project, old: Path, prepare: object, code: int, says: str
) -> None:
    """Else half an output, or nothing, is taken for paid work from then on."""
    arguments = prepare(project, old)  # type: ignore[operator]
    before = project.tree(OUTPUTS) if (project.root / OUTPUTS).exists() else {}
    done = project.run("adopt", "corpus", *arguments)
    assert (done.code, done.out) == (code, ""), done
    assert says in done.err
    assert "nothing was written" in done.err
    assert (project.tree(OUTPUTS) if (project.root / OUTPUTS).exists() else {}) == before
    if "--force" in done.err:
        assert project.run("adopt", "corpus", *arguments, "--force").code == 0


def test_declared_outputs_must_be_there(project: Project) -> None:
    """Else a step finds out hours later that the file it needs is not among them."""
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command('false', name='model', outputs=['model.bin', 'vocab/'])]\n"
    )
    project.write("old/model.bin", "")
    done = project.run("adopt", "model", "--from", "old", "--force")
    assert (done.code, done.out) == (4, ""), done
    assert "declared outputs are missing or empty: `model.bin`, `vocab`" in done.err


@pytest.mark.parametrize(
    ("pipeline", "name", "says"),
    [
        ("targets = [command('true', name='x', version='dev')]", "x", "is a dev version"),
        ("targets = [command('true', name=n) for n in ('x', 'y')]", "*", "stands for 2 targets"),
        ("targets = [command('true', name='x')]", "z", "no step is called `z`"),
    ],
)
def test_one_target_that_stays_is_adopted(
    project: Project, old: Path, pipeline: str, name: str, says: str
) -> None:
    """Else a typing error registers data as the output of something else."""
    project.pipeline(f"from marin_build import command\n{pipeline}\n")
    done = project.run("adopt", name, "--from", old)
    assert (done.code, done.out) == (4, ""), done
    assert says in done.err


def test_what_somebody_builds_is_not_adopted(project: Project, old: Path, gate: Gate) -> None:
    """Else a build of hours is thrown away, or two outputs are one target's."""
    text = DIAMOND.replace("import os\n", "import os\nfrom gate import wait_at_gate\n", 1)
    project.pipeline(text.replace('ran("corpus")\n', 'ran("corpus")\n    wait_at_gate("c")\n'))
    building = project.start("apply", "corpus")
    gate.wait_started()
    done = project.run("adopt", "corpus", "--from", old, "--force")
    assert (done.code, done.out) == (5, ""), done
    assert "is held: another run builds or adopts it\n  holder:  " in done.err
    building.send(signal.SIGKILL)
    building.wait()
    assert building.wait_until_all_gone() == {}
    adopted(project, old)
    assert project.attempt_of("corpus")["result"] == "abandoned"


def test_what_marin_left_is_adopted(project: Project) -> None:
    """Else outputs whose names Marin hashed otherwise are built again: its main use."""
    project.pipeline(
        "from pathlib import Path\nfrom marin_build import StepSpec, step\n"
        "raw = StepSpec(name='raw/dclm')\ntokens = StepSpec(name='tokenized/dclm')\n"
        "failed = StepSpec(name='failed/dedup')\n\n"
        "@step\n"
        "def count(output: Path, tokens: dict, raw: Path) -> int:\n"
        "    (output / 'n').write_text(f\"{tokens['num_tokens']} {raw.name}\")\n"
        "    return 1\n\n"
        "targets = [count(tokens=tokens, raw=raw), failed]\n"
    )
    assert project.run("apply").code == 1, "nothing builds them"
    marin = project.root / "marin"
    shutil.copytree(MARIN, marin)
    project.write("marin/raw/dclm-1a2b3c/part-0.jsonl.zst", "data")
    before = seen_of(marin)
    old_form = (marin / "raw/dclm-1a2b3c/.executor_status").read_bytes()
    assert old_form.startswith(b"{"), "JSON lines"
    assert project.run("adopt", "raw/dclm", "--from", "marin/raw/dclm-1a2b3c").code == 0
    tokens = "marin/tokenized/dclm_0f1e2d3c"
    assert project.run("adopt", "tokenized/dclm", "--from", tokens).code == 0
    done = project.run("adopt", "failed/dedup", "--from", "marin/failed/dedup_99887766")
    assert done.code in (4, 5), done
    assert project.run("apply", "count").code == 0
    (counted,) = (project.root / OUTPUTS).glob("count_*/n")
    assert counted.read_text() == "3700000000 dclm-1a2b3c"
    assert seen_of(marin) == before


def test_a_changed_pipeline_takes_a_version_over_only_on_demand(project: Project) -> None:
    """Else somebody's colleagues find that their version is another target now."""
    project.pipeline(
        "from marin_build import command\n"
        "def pipeline(n: int = 1):\n"
        "    return command('echo {n} > {output}/n', name='x', params={'n': n}, version='1')\n"
    )
    assert project.run("apply").code == 0
    changed = ("--set", "n=2")
    applied = project.run("apply", *changed)
    assert (applied.code, "its identity changed under version 1" in applied.out) == (0, True)
    refused = project.run("adopt", "x", *changed)
    assert (refused.code, "holds another target" in refused.err) == (5, True), refused
    assert project.run("adopt", "x", *changed, "--force").code == 0
    assert project.run("apply", *changed).out.startswith("nothing to do: 1 target is reused\n")
    assert (project.root / OUTPUTS / "x/1/n").read_text() == "1\n"


def test_a_step_that_reads_nothing_adopted_lists_no_place(project: Project, old: Path) -> None:
    """Else every run pays for a listing of a million files that it does not read."""
    adopted(project, old)
    project.run("apply")
    shutil.rmtree(old)
    assert project.run("apply").code == 0
    done = project.run("apply", "--force", "report")
    assert done.code == 5, done
    assert "`text.txt` is missing" in done.out
    os.makedirs(old)
    (old / "text.txt").write_text(TEXT)
    (old / ".artifact.json").write_text('{"lines": 5}')
    assert project.run("apply", "--force", "report").code == 0
