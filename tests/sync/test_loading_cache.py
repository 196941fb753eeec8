"""The one cache: who loads, what is held, what leaves, and that nothing hangs."""

from __future__ import annotations

import functools
import math
import os
import signal
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dcread.sync import background, loading_cache
from dcread.sync.loading_cache import LoadingCache


class Loader:
    """A loader that keeps a record of the keys that it loaded, and in which thread."""

    def __init__(self, delay=0.0):
        self.delay = delay
        self.keys = []
        self.threads = set()
        self.bad = set()
        self.going_on = threading.Event()

    def __call__(self, key):
        self.keys.append(key)
        self.threads.add(threading.get_ident())
        self.going_on.set()
        time.sleep(self.delay)
        if key in self.bad:
            raise ValueError(f"{key} is bad")
        return -key


def get(cache, load, key, weight=1):
    return cache.get(key, lambda: load(key), weight)


def test_one_thread_loads_and_the_others_get_the_same(in_threads):
    load = Loader(delay=0.05)
    cache = LoadingCache()
    found = in_threads(lambda _: cache.get("a", lambda: [load(1)]), range(8))
    assert load.keys == [1]
    assert all(one is found[0] for one in found)


def test_a_value_that_is_not_held_is_loaded_once_for_all_who_wait(in_threads):
    load = Loader(delay=0.05)
    cache = LoadingCache(limit=1)
    in_threads(lambda _: get(cache, load, 3, weight=5), range(6))
    assert load.keys == [3]
    assert 3 not in cache


def test_what_a_loader_raises_is_raised_and_the_next_one_tries_again():
    load = Loader()
    load.bad = {4}
    cache = LoadingCache(limit=9)
    for _ in range(2):
        with pytest.raises(ValueError, match="4 is bad"):
            get(cache, load, 4)
    assert cache.weight == 0
    load.bad = set()
    assert get(cache, load, 4) == -4
    assert load.keys == [4, 4, 4]


def test_each_waiting_thread_gets_the_error_of_its_own_try(in_threads):
    load = Loader(delay=0.02)
    load.bad = {1}
    cache = LoadingCache()

    def ask(_):
        with pytest.raises(ValueError, match="1 is bad"):
            get(cache, load, 1)

    in_threads(ask, range(4))
    assert len(load.keys) == 4


def test_none_is_a_value():
    cache = LoadingCache()
    made = []
    for _ in range(2):
        assert cache.get("a", lambda: made.append(1)) is None
    assert made == [1]
    assert "a" in cache


def test_a_loader_may_ask_for_other_keys():
    cache = LoadingCache(limit=10)
    load = Loader()
    found = cache.get("sum", lambda: get(cache, load, 1) + get(cache, load, 2), 1)
    assert found == -3
    assert [key in cache for key in ("sum", 1, 2)] == [True, True, True]


def test_the_least_recently_used_leaves_first():
    load = Loader()
    cache = LoadingCache(limit=3)
    for key in (1, 2, 3, 1, 4):
        get(cache, load, key)
    assert [key in cache for key in (1, 2, 3, 4)] == [True, False, True, True]
    assert cache.peek(3) == -3  # is no use of it
    get(cache, load, 5)
    assert cache.peek(3, "gone") == "gone"
    cache.limit = 1
    assert [key in cache for key in (1, 4, 5)] == [False, False, True]
    assert cache.weight == 1


def test_values_count_by_their_weight():
    load = Loader()
    cache = LoadingCache(limit=10)
    for key, weight in ((1, 4), (2, 4), (3, 6)):
        get(cache, load, key, weight)
    assert [key in cache for key in (1, 2, 3)] == [False, True, True]
    assert cache.weight == 10
    get(cache, load, 4, 11)
    assert cache.weight == 0
    assert 4 not in cache
    cache.put(5, "five", 3)
    cache.put(5, "V", 2)
    assert cache.get(5, lambda: "?") == "V"
    assert cache.weight == 2
    cache.drop(5, 6)
    assert cache.weight == 0


def test_without_a_limit_nothing_leaves():
    load = Loader()
    cache = LoadingCache()
    for key in range(100):
        get(cache, load, key, 1 << 40)
    assert all(key in cache for key in range(100))
    assert sorted(cache.clear()) == sorted(-key for key in range(100))
    assert 3 not in cache


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_many_threads_keep_within_the_limit_while_they_load(limit, in_threads):
    cache = LoadingCache(limit)
    lock, under_way, most = threading.Lock(), 0, []

    def load(key):
        nonlocal under_way
        with lock:
            under_way += 2
            most.append(under_way)
        time.sleep(0.001)
        with lock:
            under_way -= 2
        return key

    def work(seed):
        for key in np.random.default_rng(seed).integers(0, 20, 60).tolist():
            assert cache.get(key, lambda key=key: load(key), 2) == key
            assert cache.weight <= max(limit, 2)

    in_threads(work, range(8))
    assert max(most) <= max(limit, 2)


def test_each_key_is_loaded_once_in_whatever_order_they_are_asked_for(in_threads):
    load = Loader(delay=0.002)
    cache = LoadingCache()

    def work(seed):
        rng = np.random.default_rng(seed)
        for key in rng.permutation(40)[:30].tolist() * 2:
            assert get(cache, load, key) == -key

    in_threads(work, range(6))
    assert len(load.keys) == len(set(load.keys))


def test_what_is_dropped_while_it_is_loaded_is_not_held(running):
    load = Loader(delay=0.05)
    cache = LoadingCache(limit=5)
    for forget in (lambda: cache.drop(1), cache.clear):
        load.going_on.clear()
        with running(functools.partial(get, cache, load, 1)):
            assert load.going_on.wait(5)
            forget()
        assert 1 not in cache
        assert cache.weight == 0


def test_keys_ahead_are_loaded_in_order_as_far_as_there_is_room(wait_for):
    load = Loader()
    cache = LoadingCache(limit=4)
    for key in (28, 29, 1):
        get(cache, load, key)
    cache.read_ahead(range(1, 9), load, 1)
    wait_for(lambda: 4 in cache)
    time.sleep(0.02)
    assert load.keys == [28, 29, 1, 2, 3, 4]
    assert [key in cache for key in (1, 2, 3, 4)] == 4 * [True]
    assert load.threads - {threading.get_ident()}
    cache.read_ahead(range(2, 9), load, 1)
    wait_for(lambda: 5 in cache)
    assert 1 not in cache
    cache.close()


def test_who_asks_for_a_key_that_is_loaded_ahead_waits_for_it():
    load = Loader(delay=0.05)
    cache = LoadingCache(limit=4)
    cache.read_ahead((0, 1), load, 1)
    assert load.going_on.wait(5)
    assert get(cache, load, 1) == -1
    assert load.keys == [1]
    cache.close()


@pytest.mark.parametrize("at_once", [1, 2])
def test_so_many_keys_ahead_are_loaded_at_the_same_time(at_once, wait_for):
    cache = LoadingCache(limit=9)
    ready, going_on, most = threading.Event(), [], []

    def load(key):
        going_on.append(key)
        most.append(len(going_on))
        assert ready.wait(5)
        going_on.remove(key)
        return -key

    cache.read_ahead((0, 1), load, 1, at_once)
    wait_for(lambda: most == [1])
    for _ in range(3):
        cache.read_ahead((1, 2, 3), load, 1, at_once)
    wait_for(lambda: len(going_on) == at_once)
    time.sleep(0.02)
    ready.set()
    wait_for(lambda: 3 in cache)
    assert max(most) == at_once
    cache.read_ahead((3, 4), load, 1, at_once)  # when all threads have ended
    wait_for(lambda: 4 in cache)
    cache.close()
    assert not background._running


def test_an_error_ahead_is_left_to_who_asks_for_the_key(wait_for):
    load = Loader()
    load.bad = {2}
    cache = LoadingCache(limit=9)
    cache.read_ahead((0, 1, 2, 3), load, 1)
    wait_for(lambda: 3 in cache)
    assert 2 not in cache
    with pytest.raises(ValueError, match="2 is bad"):
        get(cache, load, 2)
    cache.close()


def test_close_ends_what_runs_ahead_and_nothing_is_held_afterwards():
    load = Loader(delay=0.05)
    cache = LoadingCache(limit=9)
    cache.read_ahead(range(-1, 9), load, 1)
    assert load.going_on.wait(5)
    cache.close()
    cache.close()
    assert not background._running
    assert load.keys == [0]
    assert get(cache, load, 5) == -5
    cache.read_ahead(range(-1, 9), load, 1)
    assert 5 not in cache
    assert cache.weight == 0
    assert not background._running


def test_closing_while_others_load():
    load = Loader(delay=0.002)
    cache = LoadingCache(limit=4)
    stop = threading.Event()

    def work(seed):
        rng = np.random.default_rng(seed)
        while not stop.is_set():
            key = int(rng.integers(30))
            assert get(cache, load, key) == -key
            cache.read_ahead(range(key, 30), load, 1)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, seed) for seed in range(4)]
        time.sleep(0.1)
        cache.close()
        assert cache.weight <= 4
        stop.set()
        for future in futures:
            future.result(20)
    assert cache.weight == 0


class Value:
    """Something that can be referred to weakly."""


def test_values_and_cache_go_with_the_last_reference(no_collector, wait_for):
    cache = LoadingCache(limit=9)
    held = weakref.ref(cache.get(1, Value, 1))
    assert held() is not None
    cache.read_ahead((1, 2, 3), lambda _: Value(), 1)
    wait_for(functools.partial(cache.__contains__, 3))
    ahead = weakref.ref(cache.peek(3))
    itself = weakref.ref(cache)
    del cache
    wait_for(lambda: itself() is held() is ahead() is None)


def test_reading_ahead_ends_with_the_cache(no_collector):
    load = Loader(delay=0.05)
    cache = LoadingCache(limit=9)
    cache.read_ahead(range(-1, 9), load, 1)
    assert load.going_on.wait(5)
    del cache
    time.sleep(0.2)
    assert load.keys == [0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_loads_what_other_threads_were_loading(
    running, in_forked_child, wait_for
):
    load = Loader(delay=0.3)
    cache = LoadingCache(limit=2)

    def check():
        right = get(cache, load, 1) == -1 and get(cache, load, 2) == -2
        cache.read_ahead((2, 3), load, 1)
        cache.close()
        return right and cache.weight == 0

    with running(functools.partial(get, cache, load, 1)):
        cache.read_ahead((0, 2), load, 1)
        wait_for(lambda: len(load.keys) == 2)
        load.delay = 0
        in_forked_child(check)
    assert get(cache, load, 2) == -2
    cache.close()


def interrupted_at(moment, change):
    """Raise before the instruction of that number in the cache; False: it has ended.

    A negative number stands for no instruction.
    """
    left = [moment if moment >= 0 else math.inf]

    def trace(frame, event, _):
        if frame.f_code.co_filename != loading_cache.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        change()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


CHANGES = {
    "load": lambda cache, load: [get(cache, load, key) for key in (3, 7, 8)],
    "load much": lambda cache, load: get(cache, load, 7, 5),
    "use": lambda cache, load: [get(cache, load, key) for key in (0, 2)],
    "put": lambda cache, load: cache.put(2, -2, 2),
    "drop": lambda cache, load: cache.drop(1, 2),
    "clear": lambda cache, load: cache.clear(),
    "lower the limit": lambda cache, load: setattr(cache, "limit", 4),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_interrupt_at_any_instruction_leaves_the_weight_right(change):
    moment = -1  # (nothing: Python 3.12 traces instructions from the second time on)
    going_on = True
    while going_on:
        load = Loader()
        cache = LoadingCache(limit=5)
        for key in range(5):
            get(cache, load, key)
        going_on = interrupted_at(moment, functools.partial(change, cache, load))
        assert cache.weight <= 5, moment
        cache.limit = 4
        for key in (8, 9, 3, 4, 1, 2, 7, 6, 5):
            assert get(cache, load, key) == -key, moment
            assert cache.weight <= 4, moment
        assert cache.weight == sum(key in cache for key in range(10)), moment
        cache.close()
        assert cache.weight == 0, moment
        going_on |= moment < 0
        moment += 1
    assert moment > 20


# Timers go off at random moments; after each, other threads can get everything.
INTERRUPTS = """
import faulthandler, random, signal, threading
from dcread.sync import background, loading_cache
from dcread.sync.loading_cache import LoadingCache

faulthandler.dump_traceback_later(80, exit=True)
signal.signal(signal.SIGALRM, signal.default_int_handler)
rng = random.Random(5)

def load(key):
    return sum(range(20)) + key

def get_all(cache):
    for key in range(30):
        assert cache.get(key, lambda: load(key), 1) == 190 + key
        assert cache.weight <= 12, cache.weight

hits = 0
for turn in range(40):
    cache = LoadingCache(limit=12)
    for _ in range(60):
        key = rng.randrange(30)
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 2e-4))
            while True:
                if rng.random() < 0.3:
                    cache.read_ahead(range(key, key + 3), load, 1)
                elif rng.random() < 0.2:
                    cache.drop(key)
                else:
                    cache.get(key, lambda: load(key), 1)
                    cache.get((7 * key) % 30, lambda: load((7 * key) % 30), 1)
                key = (key + 1) % 30
        except KeyboardInterrupt:
            hits += 1
    threads = [threading.Thread(target=get_all, args=(cache,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache.close()
    assert cache.weight == 0, cache.weight
    assert not background._running
print(hits)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_all_can_be_got_after_any_interrupts(run_python):
    done = run_python(INTERRUPTS, timeout=100)
    assert (done.stdout, done.stderr) == ("2400\n", "")
