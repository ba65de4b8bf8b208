import pytest
import torch

from export.networks.mpcnn import Mpcnn, MpcnnConfig
from export.networks.sliding_window import SlidingWindow


def test_each_answer_is_that_of_the_patch_that_begins_there() -> None:
    torch.manual_seed(5)
    network = Mpcnn(MpcnnConfig("2x5x5-3C2-MP2-4N-3N"))
    shown = torch.randn(2, 2, 7, 9)
    answers = SlidingWindow(network, batch=4)(shown)  # 30 patches, which 4 does not divide
    assert answers.shape == (2, 3, 3, 5)
    for picture in range(2):
        for y in range(3):
            for x in range(5):
                alone = network(shown[picture : picture + 1, :, y : y + 5, x : x + 5])[0]
                torch.testing.assert_close(answers[picture, :, y, x], alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 2, 4, 9), (1, 2, 9, 4), (1, 1, 9, 9), (2, 9, 9)])
def test_exception_where_the_window_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="pictures must be"):
        SlidingWindow(Mpcnn(MpcnnConfig("2x5x5-3N")))(torch.zeros(shape))
