"""The compact map against a dictionary."""

from hypothesis import given
from hypothesis import strategies as st

from expirer.int_map import IntMap

keys = st.integers(0, 60) | st.integers(0, 2**53 - 1)
steps = st.lists(
    st.tuples(st.sampled_from(["put", "put", "pop", "get"]), keys, st.integers(0, 2**32 - 1)), max_size=200
)


@given(steps, st.sampled_from([4, 8, 2048]))
def test_it_is_a_dictionary(done: list[tuple[str, int, int]], most: int) -> None:
    """Whatever the order of puts and pops, and however small its blocks, it says what a dictionary says."""
    shelf, model = IntMap(most), dict[int, int]()
    for what, key, value in done:
        if what == "put":
            assert shelf.put(key, value) == (key not in model)
            model.setdefault(key, value)
        elif what == "pop":
            assert shelf.pop(key) == model.pop(key, None)
        assert shelf.get(key) == model.get(key) and (key in shelf) == (key in model)
        assert len(shelf) == len(model)
    for key, value in model.items():
        assert shelf.get(key) == value


def test_blocks_filled_in_order_are_full_and_emptied_ones_are_joined() -> None:
    """Rising keys leave no block half empty, and a few survivors do not keep a block each."""
    shelf = IntMap(8)
    for key in range(800):
        shelf.put(key, 0)
    assert len(shelf._keys) == 100
    for key in range(800):
        if key % 8:
            shelf.pop(key)
    assert [key for key in range(800) if key in shelf] == list(range(0, 800, 8))
    assert len(shelf._keys) <= 2 * 100 / (8 // 4)
