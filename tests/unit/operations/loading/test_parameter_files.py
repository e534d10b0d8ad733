"""Files of parameters: each value reaches `pipeline()` as it is written, or the file is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.errors import MarinBuildError, UsageError
from marin_build.operations.loading.parameter_files import read_parameters, with_files
from marin_build.pipeline.parameter_texts import FileText, parameter_of_file
from marin_build.pipeline.parameters import parse_settings
from marin_build.pipeline.program_surroundings import arguments_of
from marin_build.pipeline.secrets_in_steps import secrets_of_parameters
from marin_build.text.secret_shapes import without_secret


@dataclasses.dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclasses.dataclass(frozen=True)
class Training:
    lr: float = 0.1
    name: str | None = None
    inner: Inner = Inner()


class Model(pydantic.BaseModel):
    layers: int = 2


def pipeline(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    size: int = 1,
    lr: float = 0.1,
    text: str = "",
    maybe: str | None = "x",
    training: Training = Training(),
    model: Model = Model(),  # noqa: B008 - as people write it
    sizes: tuple[int, ...] = (),
    day: dt.date | None = None,
    path: Path = Path(),
    either: str | list[str] = "",
    table: dict[str, Any] = {},  # noqa: B006 - as people write it
    untyped=None,
    counted=3,
) -> None: ...


def _values(tmp_path: Path, name: str, text: str, **given: str) -> dict[str, Any]:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return parse_settings(pipeline, with_files(given, [(str(file), name)], {}), "p.py")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("size = 3", {"size": 3}),
        ("lr = 3e-4", {"lr": 3e-4}),
        ("lr = 1", {"lr": 1.0}),
        ('text = "5"', {"text": "5"}),
        ('text = "null"', {"text": "null"}),
        ('untyped = "5"', {"untyped": "5"}),
        ('untyped = "1e3"', {"untyped": "1e3"}),
        ('untyped = "true"', {"untyped": "true"}),
        ("untyped = true", {"untyped": True}),
        ("untyped = [1, 'a', {b = 2}]", {"untyped": [1, "a", {"b": 2}]}),
        ("counted = 7", {"counted": 7}),
        ("training = {lr = 2, inner = {depth = 3}}", {"training": Training(2, None, Inner(3))}),
        ("[model]\nlayers = 4", {"model": Model(layers=4)}),
        ("sizes = [1, 2]", {"sizes": (1, 2)}),
        ("day = 2026-11-30", {"day": dt.date(2026, 11, 30)}),
        ('path = "a/b"', {"path": Path("a/b")}),
        ('either = ["a"]', {"either": ["a"]}),
        ("[table]\nx.y = 1", {"table": {"x": {"y": 1}}}),
        ("", {}),
    ],
)
def test_values_of_toml_arrive_as_they_are(
    text: str, values: dict[str, Any], tmp_path: Path
) -> None:
    """Else a text that looks like a number becomes one, and names another target."""
    assert _values(tmp_path, "p.toml", text) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("maybe: null", {"maybe": None}),
        ("maybe: ~", {"maybe": None}),
        ("lr: 3e-4", {"lr": 3e-4}),  # a text, to YAML
        ("untyped: [yes, 1.5]", {"untyped": [True, 1.5]}),
        ("# nothing\n", {}),
        ("training: &t {lr: 2.0}\ntable: *t", {"training": Training(2.0), "table": {"lr": 2.0}}),
        ("table: {<<: {a: 1, b: 1}, b: 2}", {"table": {"a": 1, "b": 2}}),
        ("day: 2026-11-30", {"day": dt.date(2026, 11, 30)}),
    ],
)
def test_values_of_yaml_arrive_as_they_are(
    text: str, values: dict[str, Any], tmp_path: Path
) -> None:
    assert _values(tmp_path, "p.yaml", text) == values


def test_values_of_json_arrive_as_they_are(tmp_path: Path) -> None:
    text = '\ufeff{"maybe": null, "size": 2, "text": "null"}'
    assert _values(tmp_path, "p.json", text) == {"maybe": None, "size": 2, "text": "null"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.toml", "size = = 1", r"\(at line 1, column 8\)"),
        ("p.toml", "size = 1\nsize = 2", "Cannot overwrite a value"),
        ("p.yaml", "a: [1", r"\(at line 1, column 6\)"),
        ("p.yaml", "a: 1\na: 2", r"a key there twice \(at line 1, column 1\)"),
        ("p.yaml", "a: !!python/object:os.system x", r"could not determine a constructor"),
        ("p.yaml", "? [1]\n: 2", r"\(at line 1, column 3\)"),
        ("p.yaml", "- a", "it holds a list, not names and values"),
        ("p.yaml", "1: a", "`1` is no name of a parameter"),
        ("p.yaml", "table: {1: a}", "`table`: the key `1` is no text"),
        ("p.yaml", "table: &a {b: *a}", r"recursive node \(at line 1, column 8\)"),
        ("p.yaml", "\0", "special characters are not allowed"),
        ("p.json", '{"size": 1,}', r"\(at line 1, column 1[12]\)"),
        ("p.json", '{"a": 1, "a": 2}', "the key `a` is there twice"),
        ("p.json", "[" * 100_000, "."),
        ("p.json", "3", "it holds a int"),
        ("p.toml", "lr = nan", "`lr`: "),
        ("p.toml", '"a b" = 1', "`a b` is no name of a parameter"),
        ("p.txt", "", "is of no kind that is known"),
        ("p", "", "is of no kind that is known"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(
    name: str, text: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        _values(tmp_path, name, text)

    assert re.search(says, caught.value.render()), caught.value.render()
    assert name in caught.value.what


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe4'")
    (tmp_path / "folder.toml").mkdir()
    for name, says in [
        ("latin.toml", "byte 6 of it is no UTF-8"),
        ("folder.toml", "folder"),
        ("none.toml", "no such file"),
    ]:
        with pytest.raises(UsageError) as caught:
            read_parameters(str(tmp_path / name), name)
        assert says in caught.value.render()


def test_later_files_win_key_by_key_and_set_over_all(tmp_path: Path) -> None:
    files = []
    for name, text in [
        ("a.toml", "size = 1\nlr = 1.0\ntraining = {lr = 1.0, inner = {depth = 1}}"),
        ("b.yaml", "lr: 2.0\ntraining: {inner: {depth: 2}}"),
    ]:
        (tmp_path / name).write_text(text)
        files.append((str(tmp_path / name), name))
    parameters = with_files(
        {"size": "5", "training.name": "x"}, files, {"env:A": "b", "lr": "never"}
    )
    assert parse_settings(pipeline, {k: v for k, v in parameters.items() if k != "env:A"}, "p") == {
        "size": 5,
        "lr": 2.0,
        "training": Training(1.0, "x", Inner(2)),
    }
    assert parameters["env:A"] == "b"
    whole = with_files({"json:training": '{"lr": 9}'}, files, {})
    assert parse_settings(pipeline, whole, "p")["training"] == Training(9.0)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"training.lr": "3e-4"}, Training(3e-4)),
        ({"training.inner.depth": "7"}, Training(inner=Inner(7))),
        ({"training.name": "5"}, Training(name="5")),
        ({"training.lr": "1", "training.name": "a"}, Training(1.0, "a")),
    ],
)
def test_a_dot_changes_a_part(given: dict[str, str], value: Training) -> None:
    assert parse_settings(pipeline, given, "p")["training"] == value


def test_parts_of_models_and_dictionaries() -> None:
    found = parse_settings(pipeline, {"model.layers": "9"}, "p")
    assert found == {"model": Model(layers=9)}
    given = {"json:table": '{"a": 1, "b": {"c": "x"}}', "table.b.c": "5", "table.a": "2"}
    assert parse_settings(pipeline, given, "p") == {"table": {"a": 2, "b": {"c": "5"}}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"training.lrr": "1"}, "`training` has no part `lrr`"),
        ({"training.lr": "x"}, "does not fit the parameter `training.lr`"),
        ({"training.lr.x": "1"}, "`training.lr` has no parts"),
        ({"size.x": "1"}, "`size` has no parts"),
        ({"maybe.a": "1"}, "`maybe` has no parts"),
        ({"trainin.lr": "1"}, "no parameter `trainin.lr`"),
        ({"json:size": '"x"'}, "does not fit the parameter `size`"),
        ({"json:size": "["}, "does not fit the parameter `size`"),
        ({"json:training": '{"lrr": 1}'}, "it has `lrr`, which that has not"),
        ({"json:training": '{"inner": {"depht": 1}}'}, "it has `inner.depht`, which that has not"),
        ({"json:model": '{"layer": 1}'}, "it has `layer`, which that has not"),
    ],
)
def test_what_does_not_fit_is_told(given: dict[str, str], says: str) -> None:
    with pytest.raises(MarinBuildError) as caught:
        parse_settings(pipeline, given, "p")
    assert says in caught.value.render()


def test_errors_name_the_file(tmp_path: Path) -> None:
    """Else an author looks for a `--set` that nobody wrote."""
    with pytest.raises(MarinBuildError) as caught:
        _values(tmp_path, "p.toml", "size = 'x'\nsizee = 1")
    text = caught.value.render()
    assert "`size` of `p.toml` does not fit the parameter" in text
    assert "given in:   p.toml" in text


def test_programs_get_options() -> None:
    """A file that runs its own steps reads a command line."""
    texts = dict(
        parameter_of_file(name, value)
        for name, value in {"train": {"lr": 0.1, "opt": {"name": "adam"}}, "n": 3, "t": "5"}.items()
    )
    words = ["--n=3", "--t=5", "--train.lr=0.1", "--train.opt.name=adam"]
    assert arguments_of(texts) == words
    assert "--train.lr=0.2" in arguments_of({**texts, "train.lr": "0.2"})
    assert "--train.lr=0.1" not in arguments_of({**texts, "train.lr": "0.2"})


def test_a_secret_in_a_file_is_refused_and_not_shown() -> None:
    """Else a token in a file of parameters is written into each plan."""
    for value in ({"password": "hunter2-very-long"}, {"x": "hf_" + "a" * 34}, ["hf_" + "a" * 34]):
        name, text = parameter_of_file("train", value)
        assert secrets_of_parameters({name: text})
    name, text = parameter_of_file("api_token", "5")
    assert without_secret(name, text) == "..."
    assert not secrets_of_parameters(dict([parameter_of_file("train", {"lr": "0.1"})]))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)  # fmt: skip


@given(_JSON)
def test_any_value_arrives_at_a_parameter_without_a_type(value: Any) -> None:
    name, text = parameter_of_file("untyped", value)
    again = json.loads(json.dumps({name: FileText.of(text, "p.toml")}))  # as a plan records it
    assert parse_settings(pipeline, again, "p") == {"untyped": value}
