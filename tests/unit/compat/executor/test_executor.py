"""Executor, executor_main and materialize: what runs, and what is written of it."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from marin_build.compat import executor as package
from marin_build.compat.executor import (
    THIS_OUTPUT_PATH,
    Executor,
    ExecutorMainConfig,
    ExecutorStep,
    compute_output_path,
    executor_main,
    materialize,
    versioned,
)
from marin_build.errors import SpecificationError, StepFailedError
from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.status_file import StatusFile


@dataclass(frozen=True)
class Config:
    data: Any = None
    output_path: Any = THIS_OUTPUT_PATH
    n: Any = 0


def write(config: Config) -> dict[str, Any]:
    Path(config.output_path, "n.txt").write_text(f"{config.n}")
    return {"n": config.n}


def fail(config: Any) -> None:
    raise AssertionError(config)


def executor(prefix: Path) -> Executor:
    return Executor(str(prefix), str(prefix / "experiments"), "a test")


def chain(fn: Any = write) -> tuple[Any, Any]:
    tok = ExecutorStep("tok", write, Config(n=versioned(1)))
    return tok, ExecutorStep("train", fn, Config(tok / "n.txt", n=versioned(2)))


def test_steps_are_built_with_what_they_need_and_are_found_again(tmp_path: Path) -> None:
    """That is what an experiment file is run for."""
    tok, train = chain()
    first = executor(tmp_path)
    paths = first.run([train / "checkpoints"])
    assert first.steps == [tok, train]
    assert Path(paths[train], "n.txt").read_text() == "2"
    for step in first.steps:
        assert StatusFile(paths[step], "test").status == "SUCCESS"
    again = executor(tmp_path)
    again.run(list(chain(fail)))
    assert set(again.output_paths.values()) == set(paths.values())


def test_documents_say_what_marins_data_browser_shows(tmp_path: Path) -> None:
    """People look at their experiments there."""
    tok, train = chain()
    made = executor(tmp_path)
    made.run([train])
    document = json.loads(Path(made.executor_info_path).read_text())
    assert list(document) == [
        "worker_id",
        "git_commit",
        "caller_path",
        "created_date",
        "user",
        "prefix",
        "steps",
    ]
    assert made.executor_info_path.startswith(f"{tmp_path}/experiments/")
    for step, info in zip((tok, train), document["steps"], strict=True):
        assert list(info) == [
            "name",
            "fn_name",
            "config",
            "override_output_path",
            "version",
            "dependencies",
            "output_path",
        ]
        record = json.loads(Path(made.output_paths[step], ".executor_info").read_text())
        for said in (info, record):
            assert said["config"] == asdict(made.configs[step])
            assert said["version"] == made.versions[step]
            assert said["dependencies"] == [made.output_paths[d] for d in made.dependencies[step]]
            assert said["output_path"] == made.output_paths[step]


def test_a_step_that_runs_is_described_beside_its_output(tmp_path: Path) -> None:
    """The browser shows trainings that run for weeks, and those that failed."""
    step: Any = ExecutorStep("train", fail, Config(n=versioned(1)), "for people")
    made = executor(tmp_path)
    with pytest.raises(StepFailedError):
        made.run([step])
    text = Path(made.output_paths[step], ".executor_info").read_text()
    shared = json.loads(Path(made.executor_info_path).read_text())["steps"][0]
    assert text == json.dumps(shared, indent=2) + "\n"


def test_a_dry_run_leaves_nothing(tmp_path: Path) -> None:
    """It is what people do first, with somebody else's bucket."""
    made = executor(tmp_path)
    made.run(list(chain(fail)), dry_run=True)
    assert os.listdir(tmp_path) == []
    assert made.executor_info_path == ""


def test_only_the_steps_that_match_run_and_what_they_need(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`--run_only` builds one evaluation of a sweep of hundreds."""
    tok, train = chain()
    other: Any = ExecutorStep("other", fail, Config())
    made = executor(tmp_path)
    with caplog.at_level(logging.WARNING, "marin_build.executor"):
        made.run([train, other], run_only=["^train$", "nothing"])
    assert Path(made.output_paths[tok], "n.txt").exists()
    assert not Path(made.output_paths[other]).exists()
    assert "`nothing` in run_only matches the name of no step" in caplog.text


def test_what_a_step_does_not_wait_for_is_not_run(tmp_path: Path) -> None:
    """Evaluations of checkpoints start while the training runs, elsewhere."""
    training: Any = ExecutorStep("train", fail, Config())
    evaluate: Any = ExecutorStep("eval", write, Config((training / "ckpt").nonblocking()))
    made = executor(tmp_path)
    paths = made.run([evaluate])
    assert made.is_pseudo_dep == {training: True, evaluate: False}
    assert made.configs[evaluate].data == f"{paths[training]}/ckpt"
    assert not Path(paths[training]).exists()
    with pytest.raises(StepFailedError):
        executor(tmp_path).run([evaluate], run_only=["train"])


def test_steps_of_one_version_are_one_and_the_first_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Factories make the same tokenization for each of their callers."""
    one, other = (ExecutorStep("tok", write, Config(n=versioned(1))) for _ in range(2))
    elsewhere = other.with_output_path("mine")
    train: Any = ExecutorStep("train", write, [one / "a", elsewhere / "b"])
    made = executor(tmp_path)
    with caplog.at_level(logging.WARNING, "marin_build.executor"):
        made.compute_version(train, is_pseudo_dep=False)
    assert made.steps == [one, train]
    folder = made.output_paths[one]
    assert made.configs[train] == [f"{folder}/a", f"{folder}/b"]
    assert f"{folder} is its output, not {tmp_path}/mine" in caplog.text
    assert made.canonicalize(elsewhere) is one


def test_a_number_of_steps_at_once_is_positive(tmp_path: Path) -> None:
    """Marin's users catch a ValueError."""
    with pytest.raises(ValueError, match="positive integer"):
        executor(tmp_path).run(list(chain()), max_concurrent=0)


def test_the_command_line_of_an_experiment_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts and notes are full of these words."""
    _, train = chain()
    words = ["x.py", "--prefix", str(tmp_path), "--run_only", '["tok"]', "--dry_run", "false"]
    monkeypatch.setattr("sys.argv", words)
    executor_main(steps=[train], description="d")
    folders = sorted(name.partition("-")[0] for name in os.listdir(tmp_path))
    assert folders == ["experiments", "tok"]


def test_a_config_stands_for_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs that make experiments have a command line of their own."""
    monkeypatch.setattr("sys.argv", ["x.py", "--mine"])
    given = ExecutorMainConfig(prefix=str(tmp_path), executor_info_base_path=str(tmp_path / "i"))
    executor_main(given, steps=[chain()[0]], max_concurrent=2)
    assert len(os.listdir(tmp_path / "i")) == 1
    executor_main.__wrapped__(given, [chain()[1]], "with a command line of its own")
    assert len(os.listdir(tmp_path / "i")) == 2


def test_a_job_builds_what_its_config_names(tmp_path: Path) -> None:
    """Training jobs tokenize in the region that they were given."""
    tok, train = chain()
    found = materialize(train.config, prefix=str(tmp_path), output_path="/own")
    path = compute_output_path("tok", tok.config, prefix=str(tmp_path))
    assert found == Config(f"{path}/n.txt", "/own", 2)
    assert Path(path, "n.txt").read_text() == "1"
    assert materialize(Config(output_path="/own"), prefix=str(tmp_path)) == Config(
        output_path="/own"
    )
    with pytest.raises(TypeError, match="OutputName"):
        materialize(train.config, prefix=str(tmp_path))
    pinned = compute_output_path("a", None, override_output_path="b/c", prefix="/p")
    assert pinned == "/p/b/c"


def test_a_record_keeps_no_secret_of_a_config(tmp_path: Path) -> None:
    """Else everybody who may read a bucket has the keys of those who trained into it."""
    config = {"out": THIS_OUTPUT_PATH, "api_key": "hunter2", "hosts": ({"db_password": "hunter2"},)}
    step = ExecutorStep("a", lambda _config: None, config)
    built = executor(tmp_path)
    path = built.run([step])[step]
    texts = [*Path(path).rglob("*"), *(tmp_path / "experiments").iterdir()]
    found = "".join(each.read_text() for each in texts if each.is_file())
    assert "hunter2" not in found
    assert '"api_key": "[secret]"' in found


@pytest.mark.parametrize(
    ("given", "what"),
    [([3], "int"), ([["a"]], "list"), ([StepSpec("a")], "StepSpec"), (chain()[0], "not several")],
)
def test_what_is_no_step_is_told(tmp_path: Path, given: Any, what: str) -> None:
    """Else the author of an experiment reads of attributes that an int does not have."""
    with pytest.raises(TypeError, match=what) as error:
        executor(tmp_path).run(given)
    assert isinstance(error.value, SpecificationError)


def test_a_field_that_a_class_sets_by_itself_is_left_to_it(tmp_path: Path) -> None:
    """Else a config with such a class in it is a ValueError about `replace`."""

    @dataclass(frozen=True)
    class Derived:
        n: int
        twice: int = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "twice", 2 * self.n)

    step = ExecutorStep("a", write, Config(n=Derived(4)))
    assert Path(executor(tmp_path).run([step])[step], "n.txt").read_text().endswith("twice=8)")


def test_marins_names_are_there() -> None:
    """Each is imported by some experiment."""
    assert all(hasattr(package, name) for name in package.__all__)
    assert package._get_info_path("/a") == "/a/.executor_info"
