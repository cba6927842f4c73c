"""Real processes, started by mpiexec: R = 1, 2, 4 find the same numbers; who is lost, fails, hangs or differs is told of."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import parallel_programs
import pytest
from conftest import REAL_CUPY
from differences import assert_close

from minicl import parallel
from minicl.train import checkpoints

MPIEXEC = Path(sys.executable).parent / "mpiexec"
PROGRAMS = Path(parallel_programs.__file__)
pytestmark = pytest.mark.skipif(
    not MPIEXEC.exists() or importlib.util.find_spec("mpi4py") is None,
    reason="no mpiexec beside this Python: pip install -e '.[mpi]'",
)


def command(workers, *arguments):
    return [str(MPIEXEC), "-n", str(workers), sys.executable, *map(str, arguments)]


def start(*parts, **environment):
    """A process group of its own, so that nothing is left over, whatever happens."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAMS.parent.parent)} | environment
    return subprocess.Popen(
        parts, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def finish(process, seconds=300):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, err


def run(workers, *arguments, **environment):
    code, out, err = finish(start(*command(workers, *arguments), **environment))
    assert code == 0, err
    assert "by force" not in err
    return out


@pytest.fixture(scope="module")
def one_process():
    """The same programs without mpiexec and without MPI."""
    return parallel_programs.everything(parallel.Workers())


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_finds_what_one_process_finds(workers, one_process, tmp_path):
    """Loss and gradient to 1e-12; parameters, buffers and history after 20 steps of SimCLR and MoCo to 1e-9."""
    run(workers, PROGRAMS, "everything", tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        assert set(found) == set(one_process)
        for name, expected in one_process.items():
            trained = name.startswith(("SimCLR", "MoCo"))
            if workers == 1:
                assert np.array_equal(found[name], expected), name
            else:
                assert_close(found[name], expected, 1e-9 if trained else 1e-12, what=name)


def test_workers_on_gpus_find_what_one_process_finds(one_process, tmp_path):
    """By NCCL, on a GPU for each: values to 1e-12, what was trained to 1e-9. The GPUs are pretended ones, NCCL's rules are not."""
    run(4, PROGRAMS, "everything", tmp_path / "found.npz", FAKE_GPUS="4")
    with np.load(tmp_path / "found.npz") as found:
        assert set(found) == set(one_process)
        for name, expected in one_process.items():
            trained = name.startswith(("SimCLR", "MoCo"))
            assert_close(found[name], expected, 1e-9 if trained else 1e-12, what=name)


@pytest.mark.parametrize(
    "gpus, without, way",
    [("2", "", "on GPU 0000:01:00.0, by NCCL"), ("1", "", "00:00.0, through the host"), ("2", "1", "through the host")],
)
def test_where_arrays_on_gpus_go(gpus, without, way, tmp_path):
    """Through the host where two workers share a GPU, and where one of them lacks NCCL."""
    run(2, PROGRAMS, "gpus", tmp_path / "found.npz", FAKE_GPUS=gpus, WITHOUT_NCCL=without)
    with np.load(tmp_path / "found.npz") as found:
        assert str(found["ways"][1, 0]).startswith("<worker 1 of 2, ") and way in str(found["ways"][1, 0])


@pytest.fixture
def images(tmp_path):
    """A small file: the digits need scikit-learn, which takes seconds to load in each process."""
    np.save(tmp_path / "images.npy", np.random.default_rng(0).random((64, 8, 8, 1)))
    return tmp_path / "images.npy"


def test_the_command_line_gives_the_same_with_and_without_mpiexec(images):
    arguments = ["-m", "minicl.train", "moco", "--images", str(images), "--batch-size", "32", "--epochs", "2"]
    arguments += ["--dtype", "float64", "--quiet"]
    code, alone, err = finish(start(sys.executable, *arguments))
    assert code == 0, err
    assert alone.startswith("moco, 1 worker, epoch 2: loss ")
    assert run(2, *arguments) == alone.replace("1 worker,", "2 workers,")


def test_the_command_line_on_gpus(images):
    """The command is told of a pretended CuPy by a file that Python reads at its start."""
    arguments = ["-m", "minicl.train", "simclr", "--images", str(images), "--batch-size", "32", "--epochs", "1"]
    arguments += ["--dtype", "float64", "--quiet"]
    here = run(2, *arguments)
    (images.parent / "sitecustomize.py").write_text("import fake_cupy; fake_cupy.install()")
    path = os.pathsep.join(map(str, [images.parent, PROGRAMS.parent, PROGRAMS.parent.parent]))
    there = run(2, *arguments, "--device", "gpu", FAKE_GPUS="2", PYTHONPATH=path)
    assert there.split("loss")[0] == here.split("loss")[0]
    numbers = [[float(x) for x in re.findall(r"\d+\.\d+", text)] for text in (here, there)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9) and len(numbers[0]) >= 2


@pytest.mark.skipif(REAL_CUPY, reason="there is a GPU")
def test_without_a_gpu_the_command_line_says_so_once(images):
    arguments = ["-m", "minicl.train", "simclr", "--images", str(images), "--device", "gpu"]
    for parts in ([sys.executable, *arguments], command(2, *arguments)):
        code, out, err = finish(start(*parts))
        assert code and not out
        assert err.count('the device "gpu" needs CuPy') == 1 and "Traceback" not in err


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def assert_gone(path, ranks):
    for rank in ranks:
        with pytest.raises(ProcessLookupError):
            os.kill(int(Path(f"{path}.pid{rank}").read_text()), 0)


def test_an_interrupt_from_the_keyboard_ends_all_and_leaves_no_process(tmp_path):
    """A terminal sends it to mpiexec and to all workers."""
    path = tmp_path / "run.safetensors"
    process = start(*command(2, PROGRAMS, "long", path))
    wait_for(lambda: path.exists() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process, 30)
    assert code and "KeyboardInterrupt" in err and f"is in {path}: give the same command again" in err
    assert_gone(path, [0, 1])
    assert checkpoints.load(path)[1]["epoch"] >= 1


def test_a_killed_worker_ends_all_and_the_run_goes_on_with_one_less(tmp_path):
    path = tmp_path / "run.safetensors"
    process = start(*command(3, PROGRAMS, "long", path))
    wait_for(lambda: checkpoints.previous(path).exists() or process.poll() is not None)  # two epochs are done
    os.kill(int(Path(f"{path}.pid1").read_text()), signal.SIGKILL)
    before = time.monotonic()
    code, _, err = finish(process, 30)
    assert code and time.monotonic() - before < 30
    assert "one of 3 workers was lost" in err and f"is in {path}: give the same command again" in err
    assert_gone(path, [0, 2])

    done = checkpoints.load(path)[1]["epoch"]
    assert f"The state after epoch {done} " in err or f"The state after epoch {done - 1} " in err
    run(2, PROGRAMS, "long", path, EPOCHS=str(done + 2))
    unbroken = tmp_path / "unbroken.safetensors"
    run(1, PROGRAMS, "long", unbroken, EPOCHS=str(done + 2))
    (found, notes), (expected, others) = checkpoints.load(path), checkpoints.load(unbroken)
    assert notes["epoch"] == others["epoch"] == done + 2 and notes["generators"] == others["generators"]
    for name, a in expected.items():
        assert_close(found[name], a, 1e-9, what=name)


def test_a_worker_that_fails_ends_all_and_says_why():
    code, _, err = finish(start(*command(3, PROGRAMS, "fails", "-")))
    assert code
    assert "NotFiniteError" in err and "worker 1 of 3 failed, and ends all." in err


def test_a_worker_that_hangs_is_not_waited_for_for_ever():
    code, _, err = finish(start(*command(2, PROGRAMS, "hangs", "-"), MINICL_PATIENCE="2"))
    assert code
    assert "worker 0 of 2 has waited 2 s for the others" in err


def test_workers_that_differ_are_refused_before_the_first_step(tmp_path):
    run(2, PROGRAMS, "differs", tmp_path / "found.npz")
    parts = {
        "version": "versions.*0.0.9",
        "dtype": "settings.*float32",
        "shape": r"\(64, 9\)",
        "data": r"data.*\(50, 8",
    }
    with np.load(tmp_path / "found.npz") as found:
        for what, text in parts.items():
            assert re.search(f"(?s)worker 1 differs from worker 0 in .*{text}", str(found[what])), what


def test_a_refusal_ends_the_program_with_one_message(images):
    same = [sys.executable, "-m", "minicl.train", "simclr", "--images", str(images), "--batch-size", "32", "--quiet"]
    process = start(str(MPIEXEC), "-n", "1", *same, ":", "-n", "1", *same, "--dtype", "float64")
    code, out, err = finish(process)
    assert code and not out
    assert err.count("refuses") == 1 and "Traceback" not in err
    assert "worker 1 differs from worker 0 in settings" in err and "float64 (64, 256)" in err


@pytest.mark.parametrize(
    "options, text",
    [
        (["--parts", "2"], "Choose from 3 to 32 parts"),
        (["--epochs", "-1"], "--epochs must be a whole number, at least 1"),
        (["--epochs", "many"], "invalid int value: 'many'"),
        (["--checkpoint", "images.npy"], "the file is damaged, or no checkpoint of minicl"),
        (["--batch-size", "1"], "lies between 2 and the 64 images"),
    ],
)
def test_what_does_not_fit_is_told_once(options, text, images):
    options = [str(images) if x == "images.npy" else x for x in options]
    arguments = ["-m", "minicl.train", "simclr", "--images", str(images), "--batch-size", "32", *options]
    code, out, err = finish(start(*command(3, *arguments)))
    assert code == 2 and not out
    assert err.count("error: ") == err.count(text) == 1 and "Traceback" not in err


@pytest.mark.parametrize("odd", [0, 1])
def test_options_that_one_worker_cannot_read_end_all(odd, images):
    """The others would wait for it."""
    same = [sys.executable, "-m", "minicl.train", "simclr", "--images", str(images), "--batch-size", "32", "--quiet"]
    parts = [[*same, "--epochs", "many" if rank == odd else "1"] for rank in range(2)]
    code, out, err = finish(start(str(MPIEXEC), "-n", "1", *parts[0], ":", "-n", "1", *parts[1]), 60)
    assert code and not out and err.count("refuses") == 1 and "the options, with exit status 2" in err


def test_a_checkpoint_that_one_worker_does_not_see_is_refused(images, tmp_path):
    same = [sys.executable, "-m", "minicl.train", "simclr", "--images", str(images), "--batch-size", "32", "--quiet"]
    run(1, *same[1:], "--epochs", "1", "--checkpoint", tmp_path / "here")
    parts = [[*same, "--epochs", "2", "--checkpoint", str(tmp_path / name)] for name in ("here", "there")]
    code, out, err = finish(start(str(MPIEXEC), "-n", "1", *parts[0], ":", "-n", "1", *parts[1]), 60)
    assert code and not out and err.count("refuses") == 1 and "is the checkpoint where all workers see it?" in err


def test_a_run_that_is_done_says_so_once(images, tmp_path):
    arguments = ["-m", "minicl.train", "simclr", "--images", images, "--batch-size", "32", "--quiet"]
    arguments += ["--checkpoint", tmp_path / "run", "--epochs", "1"]
    first, second = run(2, *arguments), run(2, *arguments)
    assert second.splitlines()[0].endswith("1 epochs are done already; --epochs 1 asks for no more.")
    assert second.splitlines()[1:] == first.splitlines()


def test_processes_of_another_mpi_are_refused():
    """Without the check each of them would think that it is alone, and all would write the same file."""
    script = "from minicl import parallel; print(parallel.everybody())"
    code, out, err = finish(start(sys.executable, "-c", script, OMPI_COMM_WORLD_RANK="0", OMPI_COMM_WORLD_SIZE="2"))
    assert code and not out
    assert "mpiexec started 2 processes, and mpi4py sees 1" in err
