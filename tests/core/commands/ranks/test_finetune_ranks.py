"""`torchrun` ranks share each batch and lose what one process loses."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from setar_core.__main__ import main
from setar_core.adapter import Adapter
from setar_core.finetune.shares import Shares
from setar_core.parallel.ranks import Ranks

RANKS = 3
BOTH = ["--epochs", "2", "--batch-size", "16", "--top-k", "9", "--seed", "3"]


@pytest.mark.parametrize(
    "preset",
    [
        ["locoop", "--context", "2"],
        pytest.param(["lora", "--rank", "2"], marks=pytest.mark.long),
        pytest.param(["npos", "--rate", "0.001"], marks=pytest.mark.long),
    ],
)
def test_ranks_lose_what_one_process_does(preset, golden, tmp_path):
    def ask(out):
        return [
            "finetune", "--backbone", f"local-dir:{golden / 'clip'}",
            "--labels", str(golden / "clip" / "labels.json"),
            "--images", str(golden / "clip" / "images"),
            "--log", str(tmp_path / f"{out}.jsonl"), "--out", str(tmp_path / f"{out}.safetensors"),
            "--preset", *preset, *BOTH,
        ]  # fmt: skip

    assert main(ask("one")) == 0
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*start, "--nproc-per-node", str(RANKS), "-m", "--", "setar_core", *ask("many")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one, many = (
        [json.loads(line) for line in (tmp_path / f"{out}.jsonl").read_text().splitlines()]
        for out in ("one", "many")
    )
    assert len(one) == len(many) > 3
    for mine, theirs in zip(one, many, strict=True):
        for key in ("loss", "loss_id", "acc", "ood_patch_percent"):
            assert theirs[key] == pytest.approx(mine[key], abs=1e-5)
    one, many = (Adapter.load(tmp_path / f"{out}.safetensors") for out in ("one", "many"))
    for name, tensor in one.tensors.items():
        assert np.allclose(tensor, many.tensors[name], atol=1e-5)


def test_shares_are_the_whole_batch_in_order():
    for count in range(3, 12):
        shares = [Shares(Ranks(rank, RANKS)).share(range(count)) for rank in range(RANKS)]
        assert [n for share in shares for n in share] == list(range(count))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_batch_too_small_for_all_is_refused():
    with pytest.raises(ValueError, match="a batch has 2 images and 3 processes"):
        Shares(Ranks(0, RANKS)).check([[0, 1, 2], [3, 4]])
