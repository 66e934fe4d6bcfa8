"""Loader processes ignore signals, because a run that stops still needs the batches of its last step."""

import signal

#: What a terminal or a batch system sends to a whole group of processes; SIGTERM is left, by which loaders end workers.
SENT_TO_GROUPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP", "SIGUSR1") if hasattr(signal, name))


def ignore_signals(worker: int) -> None:
    """Ignores these signals in a loader process. The run itself handles them.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> _ = DataLoader([0, 1], num_workers=1, worker_init_fn=ignore_signals)
    """
    for signum in SENT_TO_GROUPS:
        signal.signal(signum, signal.SIG_IGN)
