"""Functions of pictures that whoever follows a network's layers meets as one layer each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import RLock, get_ident
from typing import Any, ParamSpec

from torch import Tensor

P = ParamSpec("P")
Follower = Callable[..., Tensor]
_follower: Follower | None = None
_thread: int | None = None
_one_at_a_time = RLock()


def whole_step(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """A function whose parts mean nothing alone: ``following`` is told of it and not of what it computes.

    Example:
        >>> double, calls = whole_step(lambda x: 2 * x), []
        >>> with following(lambda function, *args: calls.append(args) or function(*args)):
        ...     double(3)
        6
        >>> calls
        [(3,)]
    """

    @wraps(function)
    def step(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        if _follower is None or _thread != get_ident():
            return function(*args, **kwargs)
        return _follower(step, *args, **kwargs)

    return step


@contextmanager
def following(follower: Follower) -> Iterator[None]:
    """Calls ``follower(function, *args, **kwargs)`` in place of each ``whole_step`` that this thread calls inside.

    The follower may call the function: it is not told again of what it does itself. Other threads wait with theirs.
    """
    global _follower, _thread  # a variable of the context would stop torch's compiler

    def once(*args: Any, **kwargs: Any) -> Tensor:
        global _follower
        _follower = None
        try:
            return follower(*args, **kwargs)
        finally:
            _follower = once

    with _one_at_a_time:
        before, _follower, _thread = _follower, once, get_ident()
        try:
            yield
        finally:
            _follower = before
