"""Which of several processes this one is, by the environment of those that start them."""

import pytest

from setar_core.parallel.place import Place, told
from setar_core.parallel.ranks import SINGLE, Ranks

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "1234",
}
SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_TASKS": "16",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_STEP_NODELIST": "gpu[07-09,12],login1",
    "SLURM_JOB_ID": "4210042",
}


def test_torchrun_and_accelerate_tell():
    assert told(TORCHRUN) == Place(3, 4, 1, 2, "node1", 1234)
    assert told({**TORCHRUN, "TORCHELASTIC_RESTART_COUNT": "2"}).attempt == 2
    few = {"RANK": "1", "WORLD_SIZE": "2"}
    assert told(few) == Place(1, 2, 1, 2, "localhost", 29_500)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu[07-09,12],login1", "gpu07"), ("a,b", "a"), ("n1", "n1"), ("r[1-2]x,b", "r1x")],
)
def test_slurm_tells_by_its_first_host(nodes, first):
    place = told({**SLURM, "SLURM_STEP_NODELIST": nodes})
    assert place == Place(5, 16, 1, 4, first, 29_542)
    assert told({**SLURM, "MASTER_ADDR": "ib0", "MASTER_PORT": "7"}).address == "ib0"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WORLD_SIZE": "8"},
        {"RANK": "0", "WORLD_SIZE": "1"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "16"},  # a batch script, which is one process
        {**SLURM, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
    ],
)
def test_a_process_alone_is_told_nothing(environment):
    assert told(environment) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"RANK": "x"}, "RANK='x', which is no number from 0 on"),
        ({"RANK": "-1"}, "RANK='-1'"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE=''"),
        ({"RANK": "4"}, "RANK is 4 of 4"),
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK 2 of 2"),
        ({"MASTER_PORT": "0"}, "MASTER_PORT='0'"),
        ({"RANK": "٣"}, "RANK"),
    ],
)
def test_what_cannot_be_is_refused(changed, said):
    with pytest.raises(ValueError, match="start") as refused:
        told({**TORCHRUN, **changed})
    assert said in str(refused.value)


@pytest.mark.parametrize("count", [0, 1, 7, 32, 33, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_item_is_one_process_s(count, size):
    shares = [Ranks(rank, size).mine(count, 4) for rank in range(size)]
    assert sorted(place for share in shares for place in share) == list(range(count))
    if size > 1:
        assert max(map(len, shares)) - min(map(len, shares)) <= 4


def test_alone_nothing_is_asked_of_others():
    assert SINGLE.leads and SINGLE.has_last_word()
    assert SINGLE.gathered(3) == SINGLE.collected(3) == [3]
    assert SINGLE.agreed("x") == SINGLE.first(lambda: "x") == "x"
    assert list(SINGLE.turns(iter("abc"))) == ["a", "b", "c"]
    SINGLE.check_same("images", object())
    SINGLE.refused(ValueError("no"), "a piece")
