"""Pictures while a method learns: they show what they say, are turned to fit each other, and leave no trace in the run."""

import numpy as np
import pytest
from differences import assert_close
from test_methods import MAKERS, everything
from test_train import simclr

import minicl as mc
from minicl.viz import EarlyPictures
from minicl.viz.early_pictures import flat_map

IMAGES, LABELS = (x[:70] for x in mc.data.digits("train"))


@pytest.mark.parametrize("name", ["simclr", *MAKERS])
def test_a_run_with_pictures_is_that_without(name, tmp_path):
    make = {"simclr": simclr, **MAKERS}[name]
    pictures = EarlyPictures(IMAGES[:20], LABELS[:20], path=tmp_path / "run.png")
    method = make().fit(IMAGES, 5, labels=LABELS, progress=False, callbacks=pictures)
    assert everything(method) == everything(make().fit(IMAGES, 5, labels=LABELS, progress=False))
    assert [title.split(":")[0] for title, _ in pictures.panels] == ["epoch 1", "epoch 2", "epoch 4"]
    for (title, places), k in zip(pictures.panels, (0, 1, 3)):
        assert f"loss {method.history['loss'][k]:.3f} (collapse {method.collapse:.3f})" in title
        assert places.shape == (20, 2) and np.isfinite(places).all()
    assert (tmp_path / "run.png").read_bytes() == pictures.png() and pictures.png()[:4] == b"\x89PNG"


def test_a_map_keeps_distances_where_there_are_two_directions(rng):
    angles = rng.uniform(0, 6, 30)
    turn, _ = np.linalg.qr(rng.standard_normal((7, 7)))
    z = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ turn[:2] * rng.uniform(0.1, 9, (30, 1))
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    places = flat_map(z)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (places, u)]
    assert_close(*distances, 1e-12)
    assert_close(places.mean(axis=0), np.zeros(2), 0, 1e-14)


def test_a_map_is_turned_to_the_one_before(rng):
    """The same embeddings, in other coordinates: nothing was learned, and nothing moves."""
    z = rng.standard_normal((30, 5)) * [3, 2, 1, 1, 1]
    before = flat_map(z)
    turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    assert_close(flat_map(z @ turn, before), before, 1e-12)
    for angle, mirror in ((0.7, 1.0), (3.0, -1.0)):
        turned = before @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle) * mirror, np.cos(angle) * mirror]]
        assert np.abs(turned - before).max() > 0.3
        assert_close(flat_map(z, turned), turned, 1e-12)


@pytest.mark.parametrize("z", [np.ones((6, 3)), np.zeros((6, 3)), np.ones((6, 1)), np.eye(6)[:, :1]])
def test_what_has_collapsed_is_a_point_or_a_line(z):
    for places in (flat_map(z), flat_map(z, flat_map(np.eye(6)))):
        assert places.shape == (6, 2) and np.isfinite(places).all()
        assert np.linalg.matrix_rank(places, tol=1e-9) <= len(np.unique(z, axis=0)) - 1


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="EarlyPictures: 1 images make no map"):
        EarlyPictures(IMAGES[:1])
    with pytest.raises(ValueError, match=r"20 images need labels of shape \(20,\), got \(70,\)"):
        EarlyPictures(IMAGES[:20], LABELS)


def test_a_folder_that_does_not_exist_is_refused_before_training(tmp_path):
    with pytest.raises(FileNotFoundError, match="EarlyPictures: the folder .*none.* does not exist"):
        EarlyPictures(IMAGES[:20], path=tmp_path / "none" / "run.png")
    EarlyPictures(IMAGES[:20], path="run.png")


def test_a_method_without_images_is_refused_by_name():
    words = list("abc") * 20
    model = mc.train.Word2Vec(mc.data.Vocabulary(words), dim=4, epochs=1)
    with pytest.raises(TypeError, match="EarlyPictures: Word2Vec has neither embed"):
        model.fit(words, progress=False, callbacks=EarlyPictures(IMAGES[:20]))


def test_a_method_that_has_embed_alone_is_enough():
    class Alone:
        epoch, history, collapse = 1, {"loss": [0.5]}, 1.0
        embed = staticmethod(lambda images: images.reshape(len(images), -1))

    pictures = EarlyPictures(IMAGES[:20])
    pictures(Alone())
    assert pictures.panels[0][1].shape == (20, 2)


def test_in_a_notebook_the_pictures_appear_in_one_place(monkeypatch):
    import IPython

    shown, updated = [], []

    class Handle:
        def update(self, image):
            updated.append(image)

    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": True})())
    monkeypatch.setattr(IPython.display, "display", lambda image, display_id: (shown.append(image), Handle())[1])
    simclr().fit(IMAGES, 4, progress=False, callbacks=EarlyPictures(IMAGES[:20]))
    assert len(shown) == 1 and len(updated) == 2
    assert "epoch 4: loss" in updated[-1].alt and updated[-1].data[:4] == b"\x89PNG"
