"""Which of several processes this one is, as whatever started them says in the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

PORT = 29_500
PORTS = 10_000  # a SLURM job takes one of so many, by its number


@dataclass(frozen=True)
class Place:
    """This process among `size` that know one another at an address.

    Attributes:
        rank, size: its number from 0, and how many there are.
        local, here: likewise of those on this machine.
        attempt: how often `torchrun --max-restarts` has started them again.
    """

    rank: int
    size: int
    local: int
    here: int
    address: str
    port: int
    attempt: int = 0


def told(environment: Mapping[str, str]) -> Place | None:
    """What `torchrun`, `accelerate launch` or SLURM's `srun` say; None for a process alone.

    Raises:
        ValueError: they say what cannot be.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        size = _number(environment, "WORLD_SIZE", 1)
        names = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        address, port = "localhost", PORT
    elif "SLURM_PROCID" in environment and "SLURM_STEP_NUM_TASKS" in environment:
        size = _number(environment, "SLURM_STEP_NUM_TASKS", 1)
        names = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")
        address = _first_host(environment.get("SLURM_STEP_NODELIST", "localhost"))
        port = PORT + _number(environment, "SLURM_JOB_ID", 0) % PORTS
    else:
        return None
    if size < 2:
        return None
    rank = _number(environment, names[0], 0)
    local = _number(environment, names[1], 0) if names[1] in environment else rank
    here = _number(environment, names[2], 1) if names[2] in environment else size
    if rank >= size or local >= here:
        raise ValueError(
            f"{names[0]} is {rank} of {size} and {names[1]} {local} of {here}; start all processes "
            "by one torchrun, accelerate launch or srun"
        )
    if "MASTER_PORT" in environment:
        port = _number(environment, "MASTER_PORT", 1)
    restarts = "TORCHELASTIC_RESTART_COUNT"
    attempt = _number(environment, restarts, 0) if restarts in environment else 0
    return Place(rank, size, local, here, environment.get("MASTER_ADDR", address), port, attempt)


def _number(environment: Mapping[str, str], name: str, least: int) -> int:
    text = environment.get(name, "")
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ValueError(
            f"the environment says {name}={text[:40]!r}, which is no number from {least} on; start "
            "the processes by torchrun, accelerate launch or srun, or unset it"
        )
    return int(text)


def _first_host(nodes: str) -> str:
    """`gpu07` of `gpu[07-09,12],login1`."""
    found = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\]([^,\[]*))?", nodes)
    if not found:
        raise ValueError(f"SLURM_STEP_NODELIST is {nodes[:80]!r}; set MASTER_ADDR to its first one")
    return "".join(part or "" for part in found.groups())
