"""How code digests name what is ours: as version 0.1 did, wherever it lies today.

A function that holds a class or function of this package has its module's name in its digest. If a
file moved and the name with it, every output of such a function would count as built by other code.
"""

from __future__ import annotations

_AS_IN_0_1 = {
    "identity.canonical": "canonical",
    "pipeline.bound_call": "bound_call",
    "pipeline.command": "command_step",
    "pipeline.decorator": "decorator",
    "pipeline.resources": "resources",
    "pipeline.retries": "retries",
    "pipeline.source": "sources",
    "pipeline.step_spec": "step_spec",
    "pipeline.tpu_slices": "resources",
    "protocol.holder": "worker",
    "runtime.artifact": "artifacts",
    "runtime.clients": "clients",
    "runtime.disk_cache": "disk_caching",
    "runtime.distributed_lock": "distributed_locking",
    "runtime.remote": "remote_callable",
    "runtime.status_file": "status_file",
    "runtime.step_runner": "step_runner",
    "workspace.workspace": "workspace",
}


def module_name(module: str) -> str:
    """Return how digests name a module: its own name, unless it is ours and has moved."""
    package, _, inner = module.partition(".")
    if package != "marin_build":
        return module
    return f"marin_build.{_AS_IN_0_1.get(inner, inner)}" if inner else module
