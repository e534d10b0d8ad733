"""Reports with something in every place, for the tests of the page."""

from __future__ import annotations

from marin_build.emit.graph.details import About, Details
from marin_build.emit.graph.live import LiveTarget
from marin_build.emit.graph.picture import Node
from marin_build.emit.report.facts import Build, Contents, Preview, Report, ReportedTarget
from marin_build.plan.estimate import Duration
from marin_build.plan.metrics.metrics_table import MeasuredTarget, MetricsRow, MetricsTable

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\2\0\0\0\3" + b"rest"


def report_of(text: str = "x") -> Report:
    """Return a report on four targets; every text in it that may be hostile holds `text`."""
    build = Build(
        end="2026-11-21T10:20:30.000+00:00", seconds=90.0, by=f"ada@{text}", run=f"r-{text}",
        attempt=2, made_by=f"pipeline.train {text}", commit=f"1a2b3c4d5e6f{text}", is_dirty=True,
        argv=("/home/ada/bin/marin-build", "apply", text), code=f"sha256:{text}",
        written_by=f"marin-build {text}", python=f"3.12.4{text}", image=text,
        distributions={f"numpy{text}": f"2.1{text}"}, locks={f"uv.lock{text}": text},
    )  # fmt: skip
    adopted = Build(
        end="2026-11-20T10:20:30.000+00:00", by=f"ada@{text}", adopted_from=f"/data/{text}",
        note=text,
    )  # fmt: skip
    contents = Contents(
        files=((f"a/{text}.csv", 100), ("huge.png", 1 << 30)), count=40, size=1 << 31,
        previews=(
            Preview(path=f"{text}.png", kind="picture", media="image/png", data=PNG),
            Preview(path=f"{text}.csv", kind="table", rows=(("step", text), ("1", text)),
                    is_cut=True),
            Preview(path=f"{text}.md", kind="text", lines=("# Report", text)),
            Preview(path="huge.png", kind="named", problem=f"1 GiB {text}"),
        ),
    )  # fmt: skip
    targets = (
        _target(f"raw{text}", text, "built", Details(output=text), build=adopted),
        _target("gone", text, "built", Details(), absent="not built"),
        _target(
            f"train{text}", text, "built",
            Details(
                fingerprint=text, declared=f"pipeline.py:{text}",
                attributes={f"lr{text}": 0.5, "layers": [1, {text: text}]}, inputs={text: text},
                now=LiveTarget(description=text, drift=text, tags=(text,)),
            ),
            build=build, expected=Duration(60.0, 3),
            needs=(f"raw{text}_0", "gone_1"),
            returned={f"loss{text}": 0.25, "words": text}, contents=contents,
        ),
        _target(
            "eval", text, "failed",
            Details(now=LiveTarget(log=("one", text), log_of=f"the log {text}", cost=2.5)),
            expected=Duration(30.0, 1), needs=(f"train{text}_2",),
        ),
    )  # fmt: skip
    measured = MeasuredTarget(targets[2].node.id, targets[2].node.name, {f"loss{text}": 0.25})
    return Report(
        about=About(
            title=f"pipeline.py{text}", summary=f"plan p-1a2b3c4d: 1 to build {text}", engine=text,
            prefix=f"gs://lab/{text}", prefix_link=f"https://console.cloud.google.com/{text}",
            commands=((text, (f"marin-build apply {text} ", "")),),
        ),
        targets=targets, edges=((0, 2), (1, 2), (2, 3)),
        requested=(targets[2].node.id, targets[3].node.id), parameters={f"lr{text}": text},
        commit=f"1a2b3c4d5e6f{text}", is_dirty=True,
        commands=((f"build it {text}", f"marin-build apply {text}"),),
        metrics=(MetricsTable(
            (MetricsRow(measured, {f"lr{text}": text}),), (f"lr{text}",), (f"loss{text}",)
        ),),
        version="0.1.0",
    )  # fmt: skip


def _target(name: str, text: str, state: str, details: Details, **more: object) -> ReportedTarget:
    place = {"raw": 0, "gon": 1, "tra": 2, "eva": 3}[name[:3]]
    node = Node(
        f"{name}_{place}", name, state, f"why {text}", (text,), text,  # type: ignore[arg-type]
        is_command=False,
    )  # fmt: skip
    return ReportedTarget(node=node, details=details, **more)  # type: ignore[arg-type]
