"""Rules that send steps to engines: the first one that takes a step counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from marin_build import ResourceConfig, StepSpec
from marin_build.engines.base import NoSettings
from marin_build.engines.local.engine import LocalEngine
from marin_build.engines.registry import open_engine
from marin_build.engines.routed import routed_engine
from marin_build.engines.routes import parse_routes, text_of
from marin_build.errors import UsageError

PLAIN = StepSpec(name="a")
CPU = StepSpec(name="a", resources=ResourceConfig.with_cpu(4))
IMAGE = StepSpec(name="a", resources=ResourceConfig.with_cpu(image="lm:1"))
H100 = StepSpec(name="a", resources=ResourceConfig.with_gpu("h100", 2))
A100 = StepSpec(name="a", resources=ResourceConfig.with_gpu("a100", 2))
HOSTS = StepSpec(name="a", resources=ResourceConfig.with_gpu("h100", 8, replicas=2))
V5P = StepSpec(name="a", resources=ResourceConfig.with_tpu("v5p-8"))
V5P_16 = StepSpec(name="a", resources=ResourceConfig.with_tpu("v5p-16"))
V6E = StepSpec(name="a", resources=ResourceConfig.with_tpu("v6e-4"))


@pytest.mark.parametrize(
    ("rules", "step", "place"),
    [
        ("gpu=slurm", PLAIN, ""),
        ("gpu=slurm", CPU, ""),
        ("gpu=slurm", H100, "slurm"),
        ("gpu=slurm", V5P, ""),
        ("gpu:h100=slurm", H100, "slurm"),
        ("gpu:h100=slurm", A100, ""),
        ("gpu:h100=local,gpu=slurm", H100, ""),
        ("gpu:h100=local,gpu=slurm", A100, "slurm"),
        ("tpu:v5p=slurm", V5P, "slurm"),
        ("tpu:v5p=slurm", V6E, ""),
        ("tpu:v5p-16=local,tpu=slurm", V5P_16, ""),
        ("tpu:v5p-16=local,tpu=slurm", V5P, "slurm"),
        ("hosts=slurm,gpu=local", HOSTS, "slurm"),
        ("hosts=slurm,gpu=local", H100, ""),
        ("image=container,gpu=slurm", IMAGE, "container"),
        ("image=container", CPU, ""),
        ("resources=slurm", CPU, "slurm"),
        ("resources=slurm", PLAIN, ""),
        ("gpu:h100=local,resources=slurm", H100, ""),
        ("tpu=kubernetes,gpu=slurm", V5P_16, "kubernetes"),
        ("tpu=kubernetes,gpu=slurm", H100, "slurm"),
        ("tpu=kubernetes,gpu=slurm", PLAIN, ""),
        ("tpu=tpu-vm,gpu=ray", V5P, "tpu-vm"),
        ("slurm", H100, "slurm"),
        ("slurm", PLAIN, ""),
        ("local", H100, ""),
        ("kubernetes", PLAIN, "kubernetes"),
    ],
)
def test_a_step_goes_where_the_first_rule_says(rules: str, step: StepSpec, place: str) -> None:
    """Else a step of thousands of dollars runs on a laptop, or a small one waits in a queue."""
    assert open_engine(rules, {}).place_of(step) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpus=slurm", "gpus=slurm"),
        ("gpu=", "gpu="),
        ("=slurm", "=slurm"),
        ("gpu=slurm,", "``"),
        ("cpu:4=slurm", "cpu:4=slurm"),
        ("image:x=container", "image:x=container"),
        ("gpu=slurm,gpu:h100=kubernetes", "takes no step"),
        ("resources=slurm,tpu=kubernetes", "takes no step"),
        ("gpu=slurm,gpu=kubernetes", "takes no step"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(text: str, said: str) -> None:
    """Else a mistyped rule silently keeps a step on this machine."""
    with pytest.raises(UsageError, match=said.replace("`", ".")):
        parse_routes(text)


def test_an_unknown_engine_in_a_rule_is_named() -> None:
    """Else the steps of a mistyped engine are built elsewhere."""
    with pytest.raises(UsageError, match="unknown engine `slurn`"):
        open_engine("gpu=slurn", {})


def test_an_engine_that_only_writes_files_takes_no_rule() -> None:
    """Else a plan names a script to submit that it does not have."""

    class Writer(LocalEngine):
        name = "writer"
        capabilities = replace(LocalEngine.capabilities, applies=False)

    rules = parse_routes("gpu=writer")
    with pytest.raises(UsageError, match="`writer` only writes files"):
        routed_engine(rules, {"writer": Writer(NoSettings())})


def test_rules_have_one_spelling() -> None:
    """Else two spellings of one choice are two plans."""
    rules = parse_routes(" gpu = slurm , image=container")
    assert text_of(rules) == "gpu=slurm,image=container"
    assert parse_routes(text_of(rules)) == rules
