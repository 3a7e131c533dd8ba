# SPDX-License-Identifier: Apache-2.0
"""Copies between devices, layouts and formats, with queues and threads."""
import gc
import random
import threading
import time
import weakref

import machine
import pytest

import ndbuf


def view_of_numbers(*shape, format="<i"):
    count = 1
    for extent in shape:
        count *= extent
    return ndbuf.view(b"".join(k.to_bytes(4, "little") for k in range(count))).cast("<i").reshape(shape).astype(format)


@machine.on_every_device
def test_a_view_goes_to_a_device_and_back(device):
    view = view_of_numbers(4, 6)[::-1, ::2].T
    there = view.to(device, copy=True)
    assert there.device == device and there.c_contiguous and not there.readonly
    back = there.to("cpu", copy=True)
    assert back.device == "cpu" and back.tolist() == view.tolist()


def test_to_gives_the_view_itself_where_it_is_there():
    view = view_of_numbers(3)
    assert view.to("cpu") is view and view.to(None) is view and view.to("cpu", copy=True) is not view


@machine.on_every_device
def test_copy_between_any_layouts(device):
    seed = random.randrange(2 ** 32)
    choices = random.Random(seed)
    for _ in range(20):
        axes = choices.sample(range(3), 3)
        source = view_of_numbers(4, 3, 5).permute(*axes)[::choices.choice([1, -1, 2]), :, ::choices.choice([1, -1, 2])]
        shape = source.shape
        target = ndbuf.zeros((shape[2], 2 * shape[0], shape[1]), "<i", device).permute(1, 2, 0)[1::2, ::-1]
        ndbuf.copy(target, source)
        assert target.tolist() == source.tolist(), (seed, axes)


def test_copies_in_fortran_order():
    view = view_of_numbers(2, 3)
    copy = view.copy(order="F")
    assert copy.f_contiguous and not copy.c_contiguous and copy.tolist() == view.tolist()
    with pytest.raises(ValueError, match="order"):
        view.copy("A")


@machine.on_every_device
def test_items_are_converted_on_the_way(device):
    there = ndbuf.empty((2, 3), ">d", device)
    ndbuf.copy(there, view_of_numbers(2, 3), casting="safe")
    assert there.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert there.astype("B").tolist() == [[0, 1, 2], [3, 4, 5]] and there.astype("B").device == device
    assert ndbuf.full(2, 300, "i", device).astype("B").tolist() == [44, 44]
    assert ndbuf.full(2, 300, "i", device).astype("B", saturate=True).tolist() == [255, 255]


@pytest.mark.parametrize("casting", ["no", "equiv", "safe", "same_kind"])
def test_a_casting_rule_is_obeyed(casting):
    source, target = ndbuf.full(2, 1.5, "d"), ndbuf.full(2, 7, "i")
    assert not ndbuf.can_cast("d", "i", casting) and ndbuf.can_cast("d", "i", "unsafe")
    with pytest.raises(TypeError, match=casting):
        ndbuf.copy(target, source, casting=casting)
    with pytest.raises(TypeError, match=casting):
        source.astype("i", casting)
    assert target.tolist() == [7, 7]
    ndbuf.copy(target, source, casting="unsafe")
    assert target.tolist() == [1, 1]


def test_can_cast_knows_rules_and_formats():
    assert ndbuf.can_cast("<i", ">i", "equiv") and not ndbuf.can_cast("<i", ">i", "no")
    assert ndbuf.can_cast("h", "i") and not ndbuf.can_cast("i", "h")
    for arguments in (("i", "i", "sometimes"), ("zz", "i"), ("i", "zz")):
        with pytest.raises(ValueError):
            ndbuf.can_cast(*arguments)
    with pytest.raises(TypeError):
        ndbuf.can_cast("i", 1)


def test_records_are_copied_by_name():
    source = ndbuf.full(2, (1, 2.5), "T{<i:a:<d:b:}")
    target = ndbuf.full(2, (7.0, 9), "T{>f:b:<q:c:}")
    with pytest.raises(TypeError, match="c"):
        ndbuf.copy(target, source, casting="same_kind")
    ndbuf.copy(target["b"], source["b"], casting="same_kind")
    assert target.tolist() == [(2.5, 9), (2.5, 9)]


@pytest.mark.parametrize("arguments, error", [
    ((bytes(4), b"abcd"), TypeError), ((bytearray(4), b"abc"), ValueError), ((bytearray(4), 5), TypeError),
    (([0], b"a"), TypeError), ((bytearray(4),), TypeError),
])
def test_copies_that_cannot_be_are_refused(arguments, error):
    with pytest.raises(error):
        ndbuf.copy(*arguments)


def test_copy_takes_whatever_view_takes():
    memory = bytearray(4)
    ndbuf.copy(memory, b"abcd")
    assert memory == b"abcd"
    ndbuf.copy(memoryview(memory)[::-1], bytearray(memory))
    assert memory == b"dcba"


@machine.on_every_device
def test_explain_says_how_without_doing_it(device):
    view = view_of_numbers(4, 6)[:, ::2]
    target = ndbuf.zeros((4, 3), "<f", device)
    text = view.explain(target, casting="same_kind")
    assert "route" in text and device in text and target.tolist() == [[0.0] * 3] * 4
    assert "copy of 48 bytes" in view.explain(device)
    with pytest.raises(TypeError, match="equiv"):
        view.explain(target)
    with pytest.raises(ValueError, match="unknown device"):
        view.explain("nowhere")
    with pytest.raises(ValueError):
        view.explain(bytearray(3))


# -- queues --


@machine.on_every_device
def test_copies_in_a_queue_are_done_after_wait(device):
    queue = ndbuf.Queue(device)
    assert queue.device == device
    source, there, back = view_of_numbers(200, 300), ndbuf.empty((300, 200), "<i", device), bytearray(240000)
    ndbuf.copy(there, source.T, stream=queue)
    ndbuf.copy(back, there.cast("B", (240000,)), stream=queue)
    queue.wait()
    assert back == source.T.tobytes()


@machine.on_every_device
def test_a_queue_keeps_what_it_copies(device):
    there = ndbuf.empty(100000, "<i", device)
    with ndbuf.Queue(device) as queue:
        for k in range(5):
            ndbuf.copy(there, ndbuf.full(100000, k, "<i"), stream=queue)
    assert there[99999] == 4


@machine.on_devices_out_of_reach
def test_a_native_queue_may_stand_for_a_queue(device):
    class Stream:
        def __init__(self, queue):
            self.queue, self.cuda_stream = queue, queue.native

    class Protocol:
        def __init__(self, queue):
            self.queue = queue

        def __cuda_stream__(self):
            return 0, self.queue.native

    source, queue = view_of_numbers(3, 4), ndbuf.Queue(device)
    for stream in (queue.native, Stream(queue), Protocol(queue), ndbuf.Queue(device, Stream(queue))):
        there = ndbuf.zeros((4, 3), "<i", device)
        ndbuf.copy(there, source.T, stream=stream)
        if isinstance(stream, ndbuf.Queue):
            stream.wait()
        assert there.tolist() == source.T.tolist()


@machine.on_devices_out_of_reach
def test_a_queue_keeps_the_object_of_its_native_queue_and_cycles_end(device):
    class Stream:
        ptr = None

    native, stream = ndbuf.Queue(device), Stream()
    stream.ptr = native.native
    gone = weakref.ref(stream)
    stream.over = ndbuf.Queue(device, stream)
    queue = stream.over
    del stream
    ndbuf.copy(ndbuf.empty(1000, "B", device), bytes(1000), stream=queue)
    assert gone() is not None
    del queue
    gc.collect()
    assert gone() is None


def test_what_is_no_queue_is_refused():
    for stream, error in ((0, ValueError), ("x", TypeError), (2 ** 70, OverflowError), (object(), TypeError)):
        with pytest.raises(error):
            ndbuf.copy(bytearray(4), b"abcd", stream=stream)
    with pytest.raises(BufferError, match="host"):
        ndbuf.copy(bytearray(4), b"abcd", stream=1)
    with pytest.raises(ValueError, match="unknown device"):
        ndbuf.Queue("nowhere")


# -- threads --


def test_other_threads_run_while_a_copy_does():
    """A thread that only counts goes on during copies, which it could not with the interpreter's lock held."""
    source, target = ndbuf.zeros((4096, 4096), "i"), ndbuf.empty((4096, 4096), "i")
    source, ticks, is_done = source.T, [], threading.Event()

    def count():
        while not is_done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0001)

    counter = threading.Thread(target=count)
    counter.start()
    spans = []
    for _ in range(5):
        begin = time.perf_counter()
        ndbuf.copy(target, source)
        spans.append((begin, time.perf_counter()))
    is_done.set()
    counter.join()
    assert any(begin < tick < end for begin, end in spans for tick in ticks)


@machine.on_every_device
def test_many_threads_copy_at_once(device):
    failures = []

    def work(number):
        try:
            for k in range(20):
                there = ndbuf.full((50, 40), number * 100 + k, "<i").to(device, copy=True)
                if there.T.to("cpu", copy=True).tolist() != [[number * 100 + k] * 50] * 40:
                    failures.append((number, k))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@machine.on_every_device
def test_many_threads_give_copies_to_one_queue_and_let_go_of_all_they_copied(device):
    """Owners are released by Python code in whichever thread is last; nobody may wait for one who waits for them."""
    class Owner(bytearray):
        def __del__(self):
            released.append(time.sleep(0))

    released, failures, queue = [], [], ndbuf.Queue(device)
    there = [ndbuf.empty(20000, "B", device) for _ in range(4)]

    def work(number):
        try:
            for k in range(25):
                ndbuf.copy(there[number], Owner(bytes([k]) * 20000), stream=queue)
                if k % 5 == number:
                    queue.wait()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "a deadlock"
    queue.wait()
    assert failures == [] and [view[19999] for view in there] == [24] * 4
    del queue
    gc.collect()
    assert len(released) == 4 * 25
