"""Networks that this library does not have, recognised by the names of their layers, so that a message can say so."""

from sr_lightning.models.layouts import State


def network_elsewhere(state: State) -> str | None:
    """A sentence about the network that a state is of, or None if it is unknown."""
    return None
