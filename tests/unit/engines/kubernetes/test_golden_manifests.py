"""Manifests for each kind of machine, as people review them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marin_build import ResourceConfig, Retries, StepSpec, command
from tests.e2e.support import check_golden
from tests.workspaces import in_workspace

from .sample_objects import BUCKET, emitted

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = {"image": "registry.example/lm:1", "namespace": "research"}
KUEUE = {**PLAIN, "queue": "tpus", "priority_class": "low"}
FULL = {
    **KUEUE, "service_account": "builder", "working_dir": "/app", "secrets": ["hub", "logs.keys"],
    "deadline": 3600, "keep_finished": 60,
}  # fmt: skip
HOSTILE = [
    "it's", 'a "b"', "$(HOME) $$ ${HOME}", "`id`", "\\n", "{{ 1 }}", "{% raw %}", "# no", "no",
    "0777", "12:30", "2026-11-21", "~", "- a: b", "\u2028\x85\ttab", "\U0001f389", "",
]  # fmt: skip


def _step(resources: ResourceConfig, **options: Any) -> Callable[[], StepSpec]:
    return lambda: StepSpec(name="train/lm", fn=print, resources=resources, **options)


def _hostile() -> StepSpec:
    texts = {f"p{i}": text for i, text in enumerate(HOSTILE)}
    return command(
        ["python3", *(f"{{{name}}}" for name in texts)],
        name="hostile",
        params=texts,
        env_vars={f"E{i}": text for i, text in enumerate(HOSTILE)},
        description="\n---\nkind: Secret\n",
        resources=ResourceConfig(zone="us-east5-a", disk="1.5Gi", preemptible=False),
    )


CASES: dict[str, tuple[Callable[[], StepSpec], dict[str, Any]]] = {
    "cpu": (_step(ResourceConfig.with_cpu(2.5, "512Mi", disk="10Gi", preemptible=False)), PLAIN),
    "cpu_with_kueue": (_step(ResourceConfig.with_cpu(), retries=2, timeout=90), FULL),
    "gpu": (_step(ResourceConfig.with_gpu("h100", 8, cpu=100, ram="900Gi")), PLAIN),
    "tpu_v5e_one_host": (_step(ResourceConfig.with_tpu("v5litepod-4")), PLAIN),
    "tpu_v6e_one_host": (_step(ResourceConfig.with_tpu("v6e-8", hosts=1)), PLAIN),
    "tpu_v6e_two_hosts": (_step(ResourceConfig.with_tpu("v6e-8", hosts=2)), PLAIN),
    "tpu_v4_four_hosts": (_step(ResourceConfig.with_tpu("v4-32", regions=["r1", "r2"])), PLAIN),
    "tpu_v5p_eight_hosts": (_step(ResourceConfig.with_tpu("v5p-64")), KUEUE),
    "tpu_v5p_two_slices": (
        _step(
            ResourceConfig.with_tpu("v5p-64", slice_count=2),
            retries=Retries(limit=3, on=("infra", "timeout")),
            timeout=3600,
        ),
        FULL,
    ),
    "gang": (_step(ResourceConfig(replicas=4, zone="us-central1-a")), PLAIN),
    "gang_with_kueue": (_step(ResourceConfig.with_gpu("h200", 8, replicas=2)), KUEUE),
    "hostile": (_hostile, FULL),
}


def _manifest(make: Callable[[], StepSpec], settings: dict[str, Any]) -> str:
    with in_workspace(BUCKET):
        (text,) = [
            text for name, text in emitted(make(), **settings).items() if name.endswith("job.yaml")
        ]
    # Where a step is declared is a line of this file, which moves.
    return re.sub(r"^(# step .*) \(.*\)$", r"\1 (pipeline.py:1)", text, flags=re.MULTILINE)


def test_manifests_are_known_byte_for_byte() -> None:
    """Else manifests that people review change without anybody having meant it."""
    texts = {f"{name}.yaml": _manifest(*case) for name, case in CASES.items()}
    check_golden("kubernetes_manifests", texts)


def test_manifests_do_not_depend_on_the_order_of_settings() -> None:
    """Else each plan shows differences that mean nothing."""
    make, settings = CASES["tpu_v5p_two_slices"]
    assert _manifest(make, settings) == _manifest(make, dict(reversed(settings.items())))
