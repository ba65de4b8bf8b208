import numpy as np

from pipeline.codes import FrameCodes
from pipeline.postings import Hits
from pipeline.voting import CODE_CAP, Probes, count_votes, probes_of


def hits(rows: list[tuple[int, int, int]]) -> Hits:
    probe, number, start_ms = (np.array(column) for column in zip(*rows, strict=True))
    return Hits(probe.astype(np.int64), number.astype(np.uint32), start_ms.astype(np.uint32))


def probes(codes: list[int], seconds: list[float]) -> Probes:
    return Probes(np.array(codes, np.uint32), np.arange(len(codes)), np.array(seconds))


def test_neighbours_with_one_code_are_one_run_asked_by_the_surest() -> None:
    margins = np.ones((4, 32), np.float32)
    margins[1] = 2.0
    query = FrameCodes(np.array([0.0, 0.1, 0.2, 0.3]), np.array([7, 7, 7, 9], np.uint32), margins)
    asked = probes_of(query, 2, 10_000)
    assert asked.run.tolist() == [0, 0, 1, 1]
    assert asked.seconds.tolist() == [0.1, 0.1, 0.3, 0.3]
    assert asked.codes[[0, 2]].tolist() == [7, 9]


def test_votes_for_one_offset_add_up_and_others_do_not() -> None:
    asked = probes([1, 2, 3], [0.0, 1.0, 2.0])
    # video 5 has the three codes one second apart from 10 s on; video 6 has them scattered
    found = hits([(0, 5, 10_000), (1, 5, 11_000), (2, 5, 12_000), (0, 6, 1_000), (1, 6, 30_000), (2, 6, 70_000)])
    places = count_votes(asked, found, middle_seconds=1.0, postings=1000, most=4)
    assert places[0].number == 5
    assert abs(places[0].middle_seconds - 11.0) <= 1.0
    scattered = max(place.votes for place in places if place.number == 6) if any(p.number == 6 for p in places) else 0
    assert places[0].votes > 2.9 * scattered or scattered == 0


def test_a_run_votes_once_for_a_place_however_many_probes_hit() -> None:
    asked = Probes(np.array([1, 2], np.uint32), np.array([0, 0]), np.array([0.0, 0.0]))
    both = count_votes(asked, hits([(0, 5, 10_000), (1, 5, 10_000)]), 0.0, 1000, 1)
    one = count_votes(asked, hits([(0, 5, 10_000)]), 0.0, 1000, 1)
    assert both[0].votes == one[0].votes


def test_rare_codes_weigh_more_than_common_ones() -> None:
    common = [(0, 100 + i, 5_000) for i in range(50)]
    places = count_votes(probes([1, 2], [0.0, 0.0]), hits([*common, (1, 7, 5_000)]), 0.0, 1000, 1)
    assert places[0].number == 7


def test_a_stop_word_is_capped() -> None:
    flood = [(0, i, 5_000) for i in range(CODE_CAP * 3)]
    places = count_votes(probes([1], [0.0]), hits(flood), 0.0, 10_000, CODE_CAP * 9)
    assert len({place.number for place in places}) == CODE_CAP


def test_no_hits_give_no_places() -> None:
    empty = Hits(np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.uint32))
    assert count_votes(probes([1], [0.0]), empty, 0.0, 10, 5) == []
