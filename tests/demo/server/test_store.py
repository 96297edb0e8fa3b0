"""What visitors share or come back to: bounded, and each in his fair share."""

from demo.server.store import Store
from tests.demo.asking import asking


def test_the_least_recently_used_goes_first():
    gone = []
    store = Store(2, gone.append)
    store.put("a", 1), store.put("b", 2)
    assert store.find("a") == 1
    store.put("c", 3)
    assert gone == [2] and store.find("b") is None


def test_a_visitors_hundredth_drives_out_his_own():
    gone, store = [], Store(10)
    store._gone = gone.append
    for i in range(3):
        store.put(f"yours {i}", i, f"visitor {i}")
    with asking("many"):
        for i in range(100):
            store.put(i, f"mine {i}")
    assert all(store.find(f"yours {i}") == i for i in range(3))
    assert gone == [f"mine {i}" for i in range(93)]
    store.put("new", 3, "you")
    assert store.find("new") == 3 and gone[-1] == "mine 93"


def test_nothing_is_left_of_what_is_dropped():
    store = Store(3)
    for name in "abc":
        store.put(name, name)
    for name in ("a", "b", "c", [], None):
        store.drop(name)
    assert store.items() == [] and not store._owners


def test_what_is_large_counts_for_more():
    store = Store(4, cost=len)
    store.put("yours", "y", "you")
    for name in "abc":
        store.put(name, name * 2, "many")
    assert [name for name, _ in store.items()] == ["yours", "c"]
    store.put("too large", "xxxxx", "many")
    assert store.find("too large") is None and store.find("yours") == "y"
