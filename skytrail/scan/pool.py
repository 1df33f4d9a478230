"""Processes that evaluate pieces side by side; results come in the order of the pieces, however many there are.

* Bounded: at most a few pieces a process are given out, and while many matches wait for an earlier piece, only the
  process of that piece is listened to (the others stop at their full pipes).
* A process that dies costs the piece it worked on, which is told; another takes its place.
* No process outlives its parent: it ends when its pipe does, also when the parent was killed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from skytrail.scan.found import Part
from skytrail.scan.pieces import Piece

AHEAD = 3  # pieces a process that may be given out before the earliest one is done
MOST_WAITING = 50_000  # matches that wait for an earlier piece
_END_S = 5.0  # seconds a process has to end before it is killed
_METHOD = "fork" if sys.platform == "linux" else "spawn"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Part)


class Evaluates(Protocol):
    """What a process does; made in it by the `Make` that the pool was given."""

    def evaluate(self, piece: Piece) -> Iterator[Part]:
        """Parts of a piece, the last one with the counts."""
        ...


Make = Callable[[], Evaluates]


@dataclass(eq=False, slots=True)
class _Hand:
    """A process and our end of its pipe; `piece` is the number of what it works on."""

    process: BaseProcess
    pipe: Connection
    piece: int = -1


class Pool:
    """Some processes; leave its context and they are gone."""

    def __init__(self, make: Make, processes: int) -> None:
        """Start the processes.

        Args:
            make: Builds what evaluates; picklable where processes are not forked.
            processes: How many.
        """
        self._make = make
        self._context: Any = multiprocessing.get_context(_METHOD)
        self._hands: list[_Hand] = []
        self._parts: dict[int, deque[Part]] = {}
        for _ in range(processes):
            self._hands.append(self._start())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """Ids of the processes."""
        return [hand.process.pid for hand in self._hands if hand.process.pid is not None]

    def run(self, pieces: Iterable[Piece]) -> Generator[tuple[Piece, Part]]:
        """Every part of every piece, in order.

        Args:
            pieces: Taken as processes get free.
        """
        source = iter(pieces)
        given: dict[int, Piece] = {}
        head = count = 0
        more = True
        while more or given:
            while more and count < head + AHEAD * len(self._hands) and (hand := self._idle()):
                piece = next(source, None)
                if piece is None:
                    more = False
                    break
                given[count], self._parts[count] = piece, deque()
                self._give(hand, count, piece)
                count += 1
            if given:
                self._listen(head)
            while head in given and self._parts[head]:
                part = self._parts[head].popleft()
                yield given[head], part
                if part.last:
                    del given[head], self._parts[head]
                    head += 1

    def close(self) -> None:
        """End every process, now."""
        for hand in self._hands:
            hand.pipe.close()
            hand.process.terminate()
        for hand in self._hands:
            hand.process.join(_END_S)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()
            hand.process.close()
        self._hands.clear()

    def _start(self) -> _Hand:
        ours, theirs = self._context.Pipe()
        inherited = [*(hand.pipe for hand in self._hands), ours] if _METHOD == "fork" else []
        process = self._context.Process(target=_work, args=(theirs, inherited, self._make), daemon=True)
        with _interrupts_later():
            process.start()
        theirs.close()
        return _Hand(process, ours)

    def _idle(self) -> _Hand | None:
        return next((hand for hand in self._hands if hand.piece < 0), None)

    def _give(self, hand: _Hand, number: int, piece: Piece) -> None:
        hand.piece = number
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died; listening finds out
            hand.pipe.send(piece)

    def _listen(self, head: int) -> None:
        """Wait for a part, of the earliest piece only while much waits for it."""
        if self._parts[head]:
            return
        waiting = sum(len(part.matches) for parts in self._parts.values() for part in parts)
        busy = [hand for hand in self._hands if hand.piece == head or (hand.piece >= 0 and waiting < MOST_WAITING)]
        ready = set(wait([hand.pipe for hand in busy]))
        for hand in busy:
            if hand.pipe not in ready:
                continue
            try:
                part = _decoder.decode(hand.pipe.recv_bytes())
            except (EOFError, ConnectionResetError):
                part = self._died(hand)
            self._parts[hand.piece].append(part)
            if part.last:
                hand.piece = -1

    def _died(self, dead: _Hand) -> Part:
        """What is told of the piece that a dead process worked on; another process takes its place."""
        dead.process.join(_END_S)
        code = dead.process.exitcode
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        dead.pipe.close()
        self._hands.remove(dead)
        self._hands.append(self._start())
        return Part(last=True, fault=f"evaluating records: the process {how}; is there enough memory?")


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """Hold Ctrl-C back while a process is forked: Python swallows what is raised in its hooks around a fork."""
    if _METHOD != "fork":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, inherited: Iterable[Connection], make: Make) -> None:
    """Life of a process: pieces in, parts out, until the pipe ends. Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in inherited:
        other.close()
    worker = make()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            for part in worker.evaluate(pipe.recv()):
                pipe.send_bytes(_encoder.encode(part))
