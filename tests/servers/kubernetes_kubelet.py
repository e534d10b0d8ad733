"""The kubelet of the tests' Kubernetes: pods as processes of this machine.

Each container is a process group that ends with the test process. Its process gets SIGTERM, and
after the grace period SIGKILL; then the pod is Failed or Succeeded by its exit codes, as it was by
the version of 1.27. Probes, sidecars and resource limits are not known: `oom` is a control.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from .kubernetes_containers import Command, Waits, command_of
from .kubernetes_events import record
from .kubernetes_pod_status import (
    admit,
    fail_by_shutdown,
    finish,
    is_over,
    refuse,
    set_running,
    set_state,
)
from .kubernetes_resources import Object, now, set_condition
from .programs import tied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .kubernetes_store import Store

_NOT_STARTED = 128


class Kubelet:
    """Runs the pods that have a node, of all nodes."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.image_environment = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C.UTF-8"}
        self.unpullable: set[str] = set()
        self.restart_delay = 0.1
        self.refusals = 0
        """How many of the next pods their nodes refuse to run."""
        self._pods: dict[str, RunningPod] = {}
        self._addresses = 1
        self._lock = threading.Lock()

    def sync(self) -> None:
        """Start pods that have a node, and end those that are to go."""
        there = {pod["metadata"]["uid"]: pod for pod in self.store.list("pods")}
        nodes = {node["metadata"]["name"] for node in self.store.list("nodes")}
        for uid in self._pods.keys() - there.keys():  # deleted without grace
            self._pods.pop(uid).kill()
        for uid, pod in there.items():
            running = self._pods.get(uid)
            if running is not None and pod["spec"]["nodeName"] not in nodes:
                running.lose()
            elif "deletionTimestamp" in pod["metadata"]:
                if running is not None:
                    running.terminate(pod["metadata"].get("deletionGracePeriodSeconds", 0))
            elif running is None and pod["spec"].get("nodeName") and not is_over(pod):
                self._addresses += 1
                address = f"127.1.{self._addresses // 250}.{self._addresses % 250 + 1}"
                self._pods[uid] = RunningPod(self, pod, address)

    def refuses(self) -> bool:
        """Return whether the next pod is refused, and count it."""
        with self._lock:
            refuses, self.refusals = self.refusals > 0, max(0, self.refusals - 1)
        return refuses

    def find(self, pod: Object) -> RunningPod | None:
        return self._pods.get(pod["metadata"]["uid"])

    def stop(self) -> None:
        """Kill everything, and wait for it."""
        for pod in list(self._pods.values()):
            pod.kill()
        for pod in list(self._pods.values()):
            pod.thread.join(10)

    def log_of(self, pod: Object, container: str) -> Path:
        return self.folder / str(pod["metadata"]["uid"]) / f"{container}.log"


class RunningPod:
    """A pod on its node, from its start to its end; one thread looks after it."""

    def __init__(self, kubelet: Kubelet, pod: Object, address: str) -> None:
        self._kubelet, self._store, self._pod = kubelet, kubelet.store, pod
        self._address = address
        self._folder = kubelet.folder / pod["metadata"]["uid"]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._out_of_memory: set[str] = set()
        self._is_ending = threading.Event()
        self._is_killed = self._is_lost = self._is_shut_down = False
        self._timer: threading.Timer | None = None
        self.thread = threading.Thread(target=self._run, name=pod["metadata"]["name"], daemon=True)
        self.thread.start()

    def terminate(self, grace: float) -> None:
        """Ask all containers to end, and kill those that have not in so many seconds."""
        if not self._is_ending.is_set():
            self._is_ending.set()
            self._signal(signal.SIGTERM)
            self._timer = threading.Timer(grace, self.kill)
            self._timer.daemon = True
            self._timer.start()

    def kill(self) -> None:
        """Kill all containers."""
        self._is_killed = True
        self._is_ending.set()
        for process in list(self._processes.values()):
            _kill_group(process)

    def lose(self) -> None:
        """Kill all containers; the pod's node is gone, so nothing is said of it any more."""
        self._is_lost = True
        self.kill()

    def shut_down(self, grace: float) -> None:
        """End all containers because their node is shut down; the pod has failed by that."""
        self._is_shut_down = True
        self.terminate(grace)

    def run_out_of_memory(self, container: str = "") -> None:
        """Kill a container as the kernel does at its memory limit; the first if none is named."""
        name = container or next(iter(self._processes))
        self._out_of_memory.add(name)
        _kill_group(self._processes[name])

    def _signal(self, number: int) -> None:
        for process in list(self._processes.values()):
            with suppress(ProcessLookupError):
                process.send_signal(number)

    def _change(self, edit: Callable[[Object], object]) -> None:
        if not self._is_lost:
            self._pod = self._store.change("pods", self._pod, edit)

    def _run(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._kubelet.refuses():
            self._change(refuse)
            return
        self._change(partial(admit, address=self._address))
        spec = self._pod["spec"]
        codes: list[int] = []
        for container in spec.get("initContainers") or ():
            codes.append(self._run_container(container, "initContainerStatuses"))
            if codes[-1]:
                break
        if not any(codes) and not self._is_ending.is_set():
            results: dict[str, int] = {}
            self._change(lambda pod: set_condition(pod, "Initialized"))
            threads = [
                threading.Thread(
                    target=lambda each=container: results.__setitem__(
                        each["name"], self._run_container(each, "containerStatuses")
                    ),
                    daemon=True,
                )
                for container in spec["containers"]
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            codes += results.values()
        else:
            codes.append(1)
        if self._timer is not None:
            self._timer.cancel()
        if self._is_shut_down:
            self._change(fail_by_shutdown)
        else:
            self._change(partial(finish, phase="Failed" if any(codes) else "Succeeded"))

    def _run_container(self, container: Object, field: str) -> int:
        """Run a container until it has ended for good; return its exit code."""
        policy = self._pod["spec"].get("restartPolicy", "Always")
        while True:
            code = self._run_once(container, field)
            again = policy == "Always" or (policy == "OnFailure" and code != 0)
            if field == "initContainerStatuses" and code == 0:
                again = False
            if not again or self._is_ending.is_set():
                return code
            self._wait_in(container, field, "CrashLoopBackOff", "back-off restarting container")
            if self._is_ending.wait(self._kubelet.restart_delay):
                return code

    def _run_once(self, container: Object, field: str) -> int:
        command = self._prepare(container, field)
        if command is None:
            return 137  # it never ran
        name, log = container["name"], self._kubelet.log_of(self._pod, container["name"])
        started = now()
        if shutil.which(command.words[0], path=command.environment.get("PATH")) is None:
            said = f'exec: "{command.words[0]}": executable file not found in $PATH: unknown'
            self._end_container(name, field, started, _NOT_STARTED, "StartError", said)
            return _NOT_STARTED
        with log.open("ab") as out:
            process = subprocess.Popen(
                tied(command.words),
                env=command.environment,
                cwd=command.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._processes[name] = process
        if self._is_ending.is_set():  # it was told to while this one was being made
            self._signal(signal.SIGKILL if self._is_killed else signal.SIGTERM)
        self._change(lambda pod: set_running(pod, field, name, started))
        record(self._store, self._pod, "Started", f"Container started: {name}")
        code = process.wait()
        _kill_group(process)  # what it has left behind goes with it
        self._processes.pop(name)  # its number may be that of another process soon
        code = 128 - code if code < 0 else code
        reason = "Completed" if code == 0 else "Error"
        if name in self._out_of_memory:
            self._out_of_memory.discard(name)
            reason, code = "OOMKilled", 137
        self._end_container(name, field, started, code, reason)
        return code

    def _prepare(self, container: Object, field: str) -> Command | None:
        """Wait until a container can be made; None if its pod is to go before that."""
        image, seen = container["image"], 0
        while not self._is_ending.is_set():
            try:
                self._pull(image, is_again=seen > 0)
                return command_of(
                    self._store,
                    self._pod,
                    container,
                    self._kubelet.image_environment,
                    self._folder,
                )
            except Waits as waits:
                seen += 1
                said = str(waits)
                if waits.reason == "ImagePullBackOff":
                    said = f'Back-off pulling image "{image}": ErrImagePull: {said}'
                self._wait_in(container, field, waits.reason, said)
                is_back_off = waits.reason.endswith("BackOff")
                record(self._store, self._pod, "BackOff" if is_back_off else "Failed", said)
                self._is_ending.wait(self._kubelet.restart_delay)
        return None

    def _pull(self, image: str, *, is_again: bool) -> None:
        if any(image.startswith(each) for each in self._kubelet.unpullable):
            said = f'failed to pull and unpack image "{image}": not found'
            raise Waits("ImagePullBackOff" if is_again else "ErrImagePull", said)

    def _wait_in(self, container: Object, field: str, reason: str, message: str) -> None:
        state = {"waiting": {"reason": reason, "message": message}}
        self._change(lambda pod: set_state(pod, field, container["name"], state))

    def _end_container(
        self, name: str, field: str, started: str, code: int, reason: str, message: str = ""
    ) -> None:
        ended = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()}
        if message:
            ended["message"] = message
        self._change(lambda pod: set_state(pod, field, name, {"terminated": ended}))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
