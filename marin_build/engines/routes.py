"""Rules that send steps to engines by what they ask for: `gpu=slurm,image=container`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.pipeline.resources import GpuDevice, TpuDevice
from marin_build.plan.capacity import hosts_of
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.step_spec import StepSpec

SHAPES = ("gpu", "tpu", "hosts", "image", "resources")
"""What a rule can name. `gpu` and `tpu` may be followed by a type: `gpu:h100`."""


@dataclass(frozen=True, slots=True)
class Route:
    """A rule: steps of a shape go to an engine.

    Args:
        shape: what a step asks for: `gpu` or `tpu`, perhaps of a type or a generation, `hosts`,
            which are several at once, an `image`, or any `resources`.
        engine: the name of the engine.

    """

    shape: str
    engine: str

    def takes(self, step: StepSpec) -> bool:
        """Return whether a step has that shape."""
        resources = step.resources
        if resources is None:
            return False
        kind, _, type_ = self.shape.partition(":")
        device = resources.device
        match kind:
            case "gpu":
                return isinstance(device, GpuDevice) and _is_of(device.type, type_)
            case "tpu":
                return isinstance(device, TpuDevice) and _is_of(device.type, type_)
            case "hosts":
                return hosts_of(step) > 1
            case "image":
                return resources.image is not None
        return True


def _is_of(type_: str, wanted: str) -> bool:
    """Return whether a type is the wanted one, or of that generation: `v5p-64` is of `v5p`."""
    return not wanted or type_ == wanted or type_.startswith(f"{wanted}-")


def parse_routes(text: str) -> tuple[Route, ...]:
    """Return the rules that a text lists; the first one that takes a step counts.

    Raises:
        UsageError: it is no such list, or a rule after another can take no step.

    """
    found: list[Route] = []
    for rule in text.split(","):
        shape, _, engine = (part.strip() for part in rule.partition("="))
        kind, _, type_ = shape.partition(":")
        if kind not in SHAPES or not engine or (type_ and kind not in {"gpu", "tpu"}):
            raise UsageError(
                f"`{rule.strip()}` is no rule for an engine",
                facts=[("rules", text), ("what a step asks for", ", ".join(SHAPES))],
                hint=did_you_mean(kind, SHAPES) or "SHAPE=ENGINE,...: --engine gpu=slurm",
            )
        if earlier := _hiding(shape, found):
            raise UsageError(
                f"the rule `{shape}={engine}` takes no step: `{earlier.shape}` comes before it",
                facts=[("rules", text)],
                hint="put the narrower rule first",
            )
        found.append(Route(shape, engine))
    return tuple(found)


def _hiding(shape: str, earlier: Iterable[Route]) -> Route | None:
    """Return the rule that takes all steps that a later one could take."""
    kinds = {shape, shape.partition(":")[0], "resources"}
    return next((route for route in earlier if route.shape in kinds), None)


def text_of(routes: Iterable[Route]) -> str:
    """Return rules as one text, the same for the same rules."""
    return ",".join(f"{route.shape}={route.engine}" for route in routes)
