import torch

from export.camera import Camera, Draw, _out_of_view


def pictures(n: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(n, 1, 6, 10, generator=generator)
    return torch.nn.functional.interpolate(coarse, (96, 160), mode="bilinear")


def test_same_seed_same_pictures_and_another_seed_others() -> None:
    camera = Camera(64)
    one, two, other = (camera.photograph(pictures(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_pictures_have_the_side_and_range_of_the_network() -> None:
    shown = Camera(32).photograph(pictures(), torch.Generator().manual_seed(0))
    assert shown.shape == (6, 1, 32, 32)
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_a_stronger_camera_keeps_less_of_the_picture() -> None:
    clean = torch.nn.functional.interpolate(pictures(200), (64, 64), mode="area")

    def likeness(strength: float) -> float:
        shown = Camera(64, strength).photograph(pictures(200), torch.Generator().manual_seed(0))
        a, b = clean.flatten(1), shown.flatten(1)
        a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
        return float(torch.nn.functional.cosine_similarity(a, b).median())

    likenesses = [likeness(strength) for strength in (0.0, 0.5, 1.0)]
    assert likenesses == sorted(likenesses, reverse=True)
    assert likenesses[0] > 0.85


def test_an_overexposed_picture_is_white_where_it_was_bright() -> None:
    bright = torch.full((400, 1, 96, 160), 0.9)
    shown = Camera(64, 1.0).photograph(bright, torch.Generator().manual_seed(0))
    burnt = (shown > 0.97).flatten(1).float().mean(dim=1)
    assert 0.1 < (burnt > 0.5).float().mean() < 0.7


def test_what_is_out_of_view_repeats_the_edge_of_the_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(400, 1, 32, 32, generator=generator)
    shown = _out_of_view(noise, Draw(400, generator, torch.device("cpu")), torch.ones(400, 1, 1, 1))
    changed = [k for k in range(400) if not torch.equal(shown[k], noise[k])]
    assert 20 < len(changed) < 80
    for k in changed:
        one = shown[k, 0]
        columns = (one[:, 1:] == one[:, :-1]).all(dim=0)  # equal to their neighbour
        rows = (one[1:] == one[:-1]).all(dim=1)
        hidden = columns if columns.any() else rows
        assert 1 <= hidden.sum() <= 12  # 35 % of 32
        assert hidden[0] or hidden[-1]  # along one edge
        assert hidden.diff().sum() == 1
