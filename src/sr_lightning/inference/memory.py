"""How libraries say that something does not fit into memory."""

import torch

#: In lower case; torch, onnxruntime and cuDNN have classes of errors of their own, or none.
_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate",
    "bad_alloc",
    "bad allocation",
    "exceeded max size of memory object allocation",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "unable to find an engine to execute this computation",  # cuDNN, whose workspaces do not fit
    "unable to find a valid cudnn algorithm",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less work at a time would help.

    Example:
        >>> is_out_of_memory(RuntimeError("std::bad_alloc")), is_out_of_memory(RuntimeError("shapes differ"))
        (True, False)
    """
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in _WORDS)
