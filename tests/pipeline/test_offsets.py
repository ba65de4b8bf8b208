"""How far the work on partitions has come."""

import threading
import time

from pipeline.offsets import Offsets

A, B = ("t", 0), ("t", 1)


def test_only_what_is_confirmed_may_be_committed() -> None:
    offsets = Offsets()
    offsets.take(A, 10, 19)
    offsets.take(B, 0, 4)
    assert offsets.in_work() == {A: (10, 19), B: (0, 4)}
    offsets.write(A, 14)
    assert offsets.to_commit() == {}
    written = offsets.written()
    assert written == {A: 15}
    offsets.write(A, 19)  # while the disk works
    offsets.confirm(written)
    assert offsets.to_commit() == {A: 15}
    offsets.commit({A: 15})
    assert offsets.to_commit() == {}
    assert offsets.written() == {A: 20}
    assert offsets.in_work() == {B: (0, 4)}


def test_partitions_of_others_are_forgotten() -> None:
    offsets = Offsets()
    offsets.take(A, 0, 9)
    offsets.drop([A])
    offsets.write(A, 9)
    offsets.confirm({A: 10})
    assert (offsets.written(), offsets.to_commit(), offsets.in_work()) == ({}, {}, {})


def test_what_is_left_is_neither_waited_for_nor_in_work() -> None:
    offsets = Offsets()
    offsets.take(A, 0, 9)
    offsets.take(B, 5, 7)
    offsets.write(A, 3)
    offsets.write(B, 7)
    assert offsets.leave() == {A: 6}
    assert offsets.in_work() == {} and not offsets.wait_for([A, B], 0.01)
    offsets.confirm(offsets.written())
    assert offsets.wait_for([A, B], 1) and offsets.to_commit() == {A: 4, B: 8}


def test_waits_until_all_is_confirmed() -> None:
    offsets = Offsets()
    offsets.take(A, 0, 9)
    offsets.take(B, 0, 9)
    assert not offsets.wait_for([A], 0.01)

    def work() -> None:
        time.sleep(0.05)
        offsets.write(A, 9)
        offsets.confirm(offsets.written())

    threading.Thread(target=work).start()
    assert offsets.wait_for([A], 10)
    assert not offsets.wait_for([A, B], 0.01)
