"""How many floating point operations per second a device does at best, by number format."""

from __future__ import annotations

import logging

from marin_build.compat.fray.device_table import device_table

logger = logging.getLogger(__name__)


def device_flops(device_type: str, dtype: str = "bf16") -> float | None:
    """Return the peak of one chip, in operations per second; None if it is not known.

    Args:
        device_type: a GPU or a TPU slice in any case: `H100`, `v5p-64`.
        dtype: `bf16`, `fp8`, `amp_bf16`.

    """
    known: dict[str, float] | None = device_table()["flops_per_second"].get(
        normalize_device_type(device_type)
    )
    if known is None:
        logger.warning("nothing is known of the speed of the device `%s`", device_type)
        return None
    flops = known.get(normalize_dtype(dtype))
    if flops is None:
        logger.warning("nothing is known of the speed of `%s` in %s", device_type, dtype)
    return flops


def device_flops_for_jax_device(jax_device_kind: str, dtype: str = "bf16") -> float | None:
    """Return the peak of a device that jax calls `TPU v5 lite` or `NVIDIA H100 80GB HBM3`."""
    return device_flops(jax_device_kind_to_fray_device_type(jax_device_kind), dtype)


def jax_device_kind_to_fray_device_type(kind: str) -> str:
    """Return fray's name of a device, `v5litepod`, from the one that jax gives it."""
    kind = kind.lower()
    if kind.startswith("tpu "):
        generation = kind.removeprefix("tpu ").strip()
        if "5" in generation:
            return "v5litepod" if "lite" in generation else "v5p"
        if "6" in generation and "lite" in generation:
            return "v6e"
        return generation.replace(" ", "")
    for words, name in device_table()["kinds_of_jax"]:
        if all(word in kind for word in words):
            return str(name)
    return kind


def normalize_device_type(device_type: str) -> str:
    """Return the row of a device in the table: `v4` for the slice `v4-128`."""
    kind = device_type.lower()
    return kind.partition("-")[0] if kind.startswith("v") else kind


def normalize_dtype(dtype: str) -> str:
    """Return the number format without what says that precision is mixed: `amp_bf16`."""
    return dtype.lower().removeprefix("amp_")
