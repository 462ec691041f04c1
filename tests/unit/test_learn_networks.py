"""The networks have the source's shapes, share their weights, and can learn."""

import urllib.error

import numpy as np
import pytest
import torch
from learning import moved_card, store
from torch import nn
from visualmic.errors import VisualMicError
from visualmic.learn.model_file import TrainedModel, load_model, save_model
from visualmic.learn.networks import PyramidTrunk, count_parameters, make_network
from visualmic.learn.pairs import FramePairs, Piece
from visualmic.learn.settings import (
    FpnSettings,
    InputSettings,
    ResNetSettings,
    SiameseSettings,
    model_settings,
)
from visualmic.learn.views import make_view

SMALL = {
    "siamese": SiameseSettings(size_px=16, channels=(8, 16), hidden=32),
    "resnet50": ResNetSettings(size_px=16, backbone="resnet18", hidden=32),
    "fpn": FpnSettings(size_px=16, backbone="resnet18", hidden=32, channels=16),
}


@pytest.mark.parametrize("size", [32, 64])
def test_the_small_network_takes_two_pictures_side_by_side(size):
    network = make_network(SiameseSettings(size_px=size))
    assert network(torch.zeros(2, 3, size, 2 * size)).shape == (2,)
    kernels = [layer.kernel_size for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert kernels == [(3, 3)] * 3


def test_resnet_joins_4096_features_of_pictures_of_224_pixels():
    network = make_network(ResNetSettings()).eval()
    assert network.head[0].in_features == 4096
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 224, 448)).shape == (1,)


def test_the_feature_pyramid_has_a_level_for_each_stage_of_resnet():
    network = make_network(FpnSettings()).eval()
    assert isinstance(network.trunk, PyramidTrunk)
    assert [block[0].in_channels for block in network.trunk.pyramid.inner_blocks] == [
        256,
        512,
        1024,
        2048,
    ]
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 224, 448)).shape == (1,)


@pytest.mark.parametrize("name", SMALL)
def test_both_pictures_go_through_the_same_weights(name):
    network = make_network(SMALL[name]).eval()
    size = SMALL[name].size_px
    torch.manual_seed(0)
    left, right = torch.randn(2, 3, size, size)
    seen = []
    network.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        network(torch.cat([left, right], dim=-1)[None])
        network(torch.cat([right, left], dim=-1)[None])
    one, other = (features.chunk(2, dim=1) for features in seen)
    assert torch.allclose(one[0], other[1], atol=1e-5)
    assert torch.allclose(one[1], other[0], atol=1e-5)
    assert not torch.allclose(one[0], one[1], atol=1e-3)


@pytest.fixture(scope="module")
def few_pairs(tmp_path_factory):
    """64 frames whose labels have nothing to do with them, so that learning is by heart."""

    def make(size):
        frames, sound = moved_card(64, noise=1.0)
        path = tmp_path_factory.mktemp("few") / "card.h5"
        film = store(path, frames)
        view = make_view(film, "difference", size, [(0, 64)], sound, InputSettings(crop="frame"))
        labels = np.random.default_rng(0).uniform(-1, 1, 64)
        return FramePairs([Piece(film.name, view, np.arange(64), labels)], cache_mb=50)

    return make


@pytest.mark.parametrize(("name", "steps"), [("siamese", 150), ("resnet50", 52), ("fpn", 52)])
def test_a_network_learns_64_frames_by_heart(few_pairs, name, steps):
    torch.manual_seed(0)
    network = make_network(SMALL[name])
    pairs, labels = few_pairs(SMALL[name].size_px).__getitems__(list(range(64)))
    network.label_spread.fill_(labels.std())
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(steps):
        optimiser.zero_grad()
        (network(pairs) - labels).square().mean().backward()
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.inference_mode():
        rmse = (network(pairs) - labels).square().mean().sqrt()
    assert rmse < 0.05


def test_weights_that_cannot_be_downloaded_are_one_clear_line(monkeypatch):
    def unreachable(*arguments, **options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.download_url_to_file", unreachable)
    monkeypatch.setattr("torch.hub.os.path.exists", lambda path: False)
    with pytest.raises(VisualMicError) as raised:
        make_network(ResNetSettings(weights="imagenet"))
    said = str(raised.value)
    assert "\n" not in said
    assert said.startswith("cannot download the ImageNet weights of resnet50 from https://")
    assert "Name or service not known" in said
    assert "set weights to none" in said


@pytest.mark.parametrize("name", ["resnet50", "fpn"])
def test_weights_of_a_model_of_this_project_are_loaded(tmp_path, few_pairs, name):
    torch.manual_seed(1)
    network = make_network(SMALL[name])
    view = few_pairs(16).pieces[0].view
    path = tmp_path / "model.pt"
    settings = model_settings(name, {**vars(SMALL[name])})
    save_model(path, TrainedModel(settings, "later", network, {"card": view}, (0.0, 1.0)))
    again = make_network(ResNetSettings(backbone="resnet18", weights=str(path)))
    mine = network.trunk.resnet if name == "fpn" else network.trunk
    assert torch.equal(mine.layer4[1].conv2.weight, again.trunk.layer4[1].conv2.weight)


def test_a_state_dict_of_torchvision_is_loaded(tmp_path):
    from torchvision import models

    plain = models.resnet18(weights=None)
    torch.save(plain.state_dict(), tmp_path / "resnet.pth")
    network = make_network(
        FpnSettings(backbone="resnet18", weights=str(tmp_path / "resnet.pth"), channels=8)
    )
    assert torch.equal(plain.conv1.weight, network.trunk.resnet.conv1.weight)


def test_weights_that_do_not_fit_or_are_none_are_said(tmp_path):
    from torchvision import models

    path = tmp_path / "resnet.pth"
    torch.save(models.resnet18(weights=None).state_dict(), path)
    with pytest.raises(VisualMicError, match="do not fit resnet34"):
        make_network(ResNetSettings(backbone="resnet34", weights=str(path)))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(VisualMicError, match="holds no weights"):
        make_network(ResNetSettings(backbone="resnet34", weights=str(path)))
    with pytest.raises(VisualMicError, match="no file of weights"):
        make_network(ResNetSettings(weights=str(tmp_path / "gone.pth")))
    with pytest.raises(VisualMicError, match="backbone is 'vgg'"):
        make_network(ResNetSettings(backbone="vgg"))


def test_a_model_comes_back_from_its_file(tmp_path, few_pairs):
    network = make_network(SMALL["siamese"])
    network.label_mean.fill_(0.25)
    view = few_pairs(16).pieces[0].view
    settings = model_settings("siamese", {"size_px": 16, "channels": [8, 16], "hidden": 32})
    path = tmp_path / "model.pt"
    save_model(path, TrainedModel(settings, "fold-1", network, {"card": view}, (120.0, 30.0)))
    again = load_model(path)
    assert (again.settings, again.fold, again.normalisation) == (settings, "fold-1", (120.0, 30.0))
    pairs = torch.randn(4, 3, 16, 32)
    with torch.inference_mode():
        assert torch.equal(again.network(pairs), network.eval()(pairs))
    assert again.views["card"].crop == view.crop
    assert np.array_equal(again.views["card"].reference, view.reference)
    assert count_parameters(again.network) == count_parameters(network)


def test_what_is_no_model_is_said(tmp_path):
    path = tmp_path / "model.pt"
    for content in (b"", b"RIFFxxxxWAVE", b"\x80\x04."):
        path.write_bytes(content)
        with pytest.raises(VisualMicError, match="is no model of this project"):
            load_model(path)
    torch.save({"format": "visualmic model 0"}, path)
    with pytest.raises(VisualMicError, match="is no model of this project"):
        load_model(path)
    with pytest.raises(VisualMicError, match="cannot read"):
        load_model(tmp_path / "gone.pt")
