"""What the pages claim of GPUs and no other file holds: each layer, losses in blocks, checkpoints in memory, the clock.

Most tests of a GPU stand with what they test: they ask for the fixture `xp` or `gpu`. docs/gpu.md lists what none can show
without a real GPU.
"""

import copy
import re
import sys
from pathlib import Path

import fake_cupy
import numpy as np
import pytest
from differences import assert_close

import minicl as mc
from minicl import nn

IMAGES, ROWS = (3, 8, 6, 4), (5, 4)
LAYERS = {  # with the shape of the input
    nn.AvgPool2d: (lambda: nn.AvgPool2d(2), IMAGES),
    nn.BatchNorm1d: (lambda: nn.BatchNorm1d(4), ROWS),
    nn.BatchNorm2d: (lambda: nn.BatchNorm2d(4), IMAGES),
    nn.Conv2d: (lambda: nn.Conv2d(4, 2, 3, stride=2, groups=2, rng=0), IMAGES),
    nn.ConvNet: (lambda: nn.ConvNet(4, (3, 5), rng=0), IMAGES),
    nn.Dropout: (lambda: nn.Dropout(0.5, rng=0), ROWS),
    nn.Flatten: (nn.Flatten, IMAGES),
    nn.Function: (lambda: nn.Function(mc.exp), ROWS),
    nn.GELU: (nn.GELU, ROWS),
    nn.GlobalAvgPool: (nn.GlobalAvgPool, IMAGES),
    nn.GroupNorm: (lambda: nn.GroupNorm(2, 4), IMAGES),
    nn.LayerNorm: (lambda: nn.LayerNorm(4), ROWS),
    nn.LeakyReLU: (nn.LeakyReLU, ROWS),
    nn.Linear: (lambda: nn.Linear(4, 3, rng=0), ROWS),
    nn.MLP: (lambda: nn.MLP([4, 5, 3], rng=0), ROWS),
    nn.MaxPool2d: (lambda: nn.MaxPool2d(2), IMAGES),
    nn.ProjectionHead: (lambda: nn.ProjectionHead(4, 5, 3, rng=0), ROWS),
    nn.ReLU: (nn.ReLU, ROWS),
    nn.ResNet: (lambda: nn.ResNet(8, 4, 3, rng=0), IMAGES),
    nn.ResidualBlock: (lambda: nn.ResidualBlock(4, 6, 2, rng=0), IMAGES),
    nn.Sequential: (lambda: nn.Sequential(nn.Linear(4, 3, rng=0), nn.Tanh()), ROWS),
    nn.SiLU: (nn.SiLU, ROWS),
    nn.Sigmoid: (nn.Sigmoid, ROWS),
    nn.Tanh: (nn.Tanh, ROWS),
}


def test_no_layer_is_left_out():
    """An embedding takes integers: tests/test_layers.py."""
    known = {x for x in vars(nn).values() if isinstance(x, type) and issubclass(x, nn.Module)}
    assert known - {nn.Module, nn.Embedding} == set(LAYERS)


def both(f, gpu):
    """f on the CPU and on the GPU: arrays that are where they should be, and agree."""
    for here, there in zip(f("cpu"), f("gpu"), strict=True):
        assert isinstance(there, gpu.ndarray) and there.dtype == here.dtype
        assert_close(mc.to_numpy(there), here, 1e-4 if here.dtype == np.float32 else 1e-11, 1e-6)


@pytest.mark.parametrize("kind", LAYERS)
def test_each_layer(kind, gpu, rng):
    make, shape = LAYERS[kind]
    layer, x = make(), rng.standard_normal(shape).astype(np.float32)
    g = rng.standard_normal(copy.deepcopy(layer)(x).shape).astype(np.float32)

    def work(device):
        net = copy.deepcopy(layer).to(device)
        leaf = mc.tensor(x, device=device)
        y = net(leaf)
        state = [p.data for p in net.parameters()]
        return [y.data, *state, *mc.grad(y, [leaf, *net.parameters()], cotangent=mc.to_device(g, device))]

    both(work, gpu)


@pytest.mark.parametrize("name", ["nt_xent", "dcl", "debiased", "info_nce", "siglip", "supcon"])
@pytest.mark.parametrize("block", [3, 4096])
def test_losses_in_blocks(name, block, gpu, rng, monkeypatch):
    """The blocks of a GPU have a size of their own."""
    for module in ("blocked", "siglip"):
        monkeypatch.setattr(sys.modules[f"minicl.losses.{module}"], "ON_GPU", block)
    z1, z2 = rng.standard_normal((2, 7, 3))

    def work(device):
        a, b = (mc.tensor(z, device=device) for z in (z1, z2))
        other = mc.to_device(np.array([0, 1, 0, 1, 2, 2, 1]), device) if name == "supcon" else b
        loss = getattr(mc.losses, name)(a, other, method="blocked")
        return [loss.data, mc.grad(loss, a)]

    both(work, gpu)


def test_a_part_that_is_computed_again(gpu, rng):
    x = rng.standard_normal((4, 3))

    def work(device):
        t = mc.tensor(x, device=device)
        return [mc.grad(mc.checkpoint(lambda t: mc.tanh(mc.exp(t)) * t, t), t, cotangent=mc.to_device(x, device))]

    both(work, gpu)


def test_a_run_goes_on_from_a_checkpoint_on_the_other_device(gpu, rng, tmp_path):
    images = rng.random((20, 3, 2, 1))

    def trained(*devices, path=None):
        for epochs, device in enumerate(devices, 1):
            net = nn.MLP([6, 5, 4], rng=0, dtype=np.float64)
            method = mc.train.SimCLR(net, None, mc.data.views.GaussianNoise(0.1), batch_size=10).to(device)
            method.fit(images, epochs, progress=False, checkpoint=path)
        return method.state_dict()

    expected = trained("cpu", "cpu", "cpu", path=tmp_path / "cpu")
    for name, found in trained("cpu", "gpu", "cpu", path=tmp_path / "both").items():
        assert_close(found, expected[name], 1e-9, what=name)


def test_the_clock_waits_for_the_gpu(monkeypatch):
    """Each operation is timed until it has ended."""
    waited = []
    monkeypatch.setattr(fake_cupy.cupy.cuda.Stream, "synchronize", lambda self: waited.append(1))
    with fake_cupy.installed(), mc.profile() as p:
        t = mc.tensor(np.ones(3), device="gpu")
        mc.grad(mc.exp(t).sum(), t)
    assert len(waited) >= 4 and set(p.ops) == {"exp", "sum"}


def test_cupy_may_be_imported_where_there_is_no_gpu(monkeypatch):
    """Something else may have imported it; then nothing is asked of a driver that is not there."""

    def missing(*args):
        raise RuntimeError("cudaErrorInsufficientDriver")

    with fake_cupy.installed() as cupy:
        monkeypatch.setattr(cupy, "is_available", lambda: False)
        monkeypatch.setattr(cupy.cuda, "get_current_stream", missing)
        with mc.profile():
            x = mc.tensor(np.ones((4, 3)))
            mc.grad(mc.nt_xent(x, x + 1), x)
        with pytest.raises(RuntimeError, match="it finds no GPU"):
            x.to("gpu")


PAGE = (Path(__file__).parents[1] / "docs/gpu.md").read_text(encoding="utf-8")


def test_the_page_names_every_file_that_tests_a_gpu_and_no_other():
    """docs/gpu.md says what is held by which file; so a claim is held there, or stands in its list of what is not."""
    asks = re.compile(r"def test\w*\(.*\b(xp|gpu)\b|FAKE_GPUS")
    there = {f.name for f in Path(__file__).parent.glob("test_*.py") if asks.search(f.read_text(encoding="utf-8"))}
    assert set(re.findall(r"`(test_\w+\.py)`", PAGE)) == there | {"test_fake_cupy.py", "test_engine.py"}
