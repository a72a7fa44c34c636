"""Workers are actors of a Ray cluster, on this machine or on many.

Ray Core only: it starts actors anew where a process or a machine is lost and gives them the item
again. What is finished is written by the driver alone.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.engines.base import MAX_RETRIES, Crew, Done, SideBySide, Start, Worker, gone
from pipeline.errors import EngineError

ANSWER_S = 10.0
STARTS = 3  # Ray gives up on its own processes after half a minute, too soon on a busy machine


class Ray(SideBySide):
    """Actors side by side.

    Args:
        num_workers: Actors, of one CPU each.
        address: Of a cluster; None starts one on this machine that ends with the work.
        num_gpus: Of each actor.
    """

    def __init__(self, num_workers: int, address: str | None = None, num_gpus: float = 0) -> None:
        super().__init__(num_workers)
        self.address = address
        self.num_gpus = num_gpus

    @contextmanager
    def crew(self, start: Start, num_workers: int) -> Iterator[Crew]:
        """Return actors that end with the block."""
        with self.joined() as ray:
            crew = _Crew(ray, start, num_workers, self.num_gpus)
            try:
                yield crew
            finally:
                crew.end()

    @contextmanager
    def joined(self) -> Iterator[Any]:
        """Be in the cluster for the length of a block, and give `ray`; one that was joined stays.

        Raises:
            EngineError: If Ray is not installed, or the cluster cannot be reached.
        """
        ray = _imported()
        if ray.is_initialized():
            yield ray
            return
        handler = signal.getsignal(signal.SIGTERM)
        try:
            self._join(ray)
        finally:
            signal.signal(signal.SIGTERM, handler)  # Ray has put its own in place
        try:
            yield ray
        finally:
            ray.shutdown()

    def _join(self, ray: Any) -> None:
        for tries_left in reversed(range(1 if self.address else STARTS)):
            try:
                _require_answer(self.address)
                ray.init(
                    address=self.address or "local",
                    num_cpus=None if self.address else self.num_workers,
                    include_dashboard=None if self.address else False,
                    log_to_driver=False,
                    logging_level="ERROR",
                )
            except Exception as error:  # Ray has no one kind for it
                ray.shutdown()
                if tries_left:
                    continue
                where = f"--address {self.address}" if self.address else "--engine ray"
                raise EngineError(
                    f"{where}: no Ray cluster can be had ({error}); start one with 'ray start "
                    "--head' and name it by --address, or take --engine processes."
                ) from error
            return


def _require_answer(address: str | None) -> None:
    """Knock at HOST:PORT; Ray itself would try for minutes.

    Raises:
        OSError: If nobody answers.
    """
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()


def _imported() -> Any:
    # Read by Ray's processes; no figures about this run leave it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise EngineError(
            "--engine ray: needs the extra 'ray'; pip install 'genser[ray]', or take --engine "
            "processes."
        ) from error
    return ray


class _Actor:
    """A worker in an actor. A new one after a death has no start yet, so each item names it."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def do(self, shared: list[Any], item: Any) -> Done:
        if self._worker is None:
            import ray

            self._worker = Worker(ray.get(shared[0]))
        return self._worker.do(item)


class _Crew:
    def __init__(self, ray: Any, start: Start, num_workers: int, num_gpus: float) -> None:
        self._ray = ray
        actor = ray.remote(
            num_cpus=1, num_gpus=num_gpus, max_restarts=-1, max_task_retries=MAX_RETRIES
        )(_Actor)
        self._shared = [ray.put(start)]  # within a list Ray does not unpack it for every item
        self._idle = [actor.remote() for _ in range(num_workers)]
        self._busy: dict[Any, tuple[int, Any]] = {}  # place and actor, by the result to come

    def give(self, place: int, item: Any) -> None:
        actor = self._idle.pop()
        self._busy[actor.do.remote(self._shared, item)] = place, actor

    def take(self) -> tuple[int, Done]:
        ready, _ = self._ray.wait(list(self._busy), num_returns=1)
        place, actor = self._busy.pop(ready[0])
        try:
            done: Done = self._ray.get(ready[0])
        except self._ray.exceptions.RayError as error:
            raise gone(f"actor of item {place}") from error
        self._idle.append(actor)
        return place, done

    def end(self) -> None:
        for actor in [*self._idle, *(actor for _, actor in self._busy.values())]:
            self._ray.kill(actor)
