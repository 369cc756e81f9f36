"""Records: built by keywords, frozen, compared by value, and packed into plain values and back."""

import marshal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar_fast.config import schema
from busbar_fast.config.record import Record, pack, unpack


class Inner(Record):
    """A record inside another one."""

    name: str
    size: int = 3


class Outer(Record):
    """A record of records."""

    inner: Inner
    rest: tuple[Inner, ...] = ()
    _note: str = "no field"


def test_fields_are_given_by_name_or_by_default() -> None:
    """Config, records: a record has its defaults where no value is given."""
    record = Inner(name="a")
    assert (record.name, record.size) == ("a", 3)
    assert Inner(name="a", size=4).size == 4


def test_a_missing_or_unknown_field_is_an_error() -> None:
    """Config, records: a record without a required field or with a foreign one cannot be made."""
    with pytest.raises(TypeError, match="Inner needs name"):
        Inner()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Inner has no colour"):
        Inner(name="a", colour="red")  # type: ignore[call-arg]


def test_records_are_frozen() -> None:
    """Config, records: a field cannot be set, nor can one be added or deleted."""
    record = Inner(name="a")
    with pytest.raises(AttributeError, match="frozen"):
        record.name = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        record.other = "b"
    with pytest.raises(AttributeError, match="frozen"):
        del record.name


def test_records_compare_and_hash_by_value() -> None:
    """Config, records: equal values make equal records of one kind."""
    assert Inner(name="a") == Inner(name="a", size=3)
    assert hash(Inner(name="a")) == hash(Inner(name="a", size=3))
    assert Inner(name="a") != Inner(name="b")
    assert Inner(name="a") != ("a", 3)
    assert Outer(inner=Inner(name="a")) != Inner(name="a")


def test_a_record_shows_its_fields() -> None:
    """Config, records: what is shown is what makes the record again."""
    assert repr(Outer(inner=Inner(name="a"))) == "Outer(inner=Inner(name='a', size=3), rest=())"


def test_a_copy_may_have_other_values() -> None:
    """Config, records: a changed copy leaves the record alone."""
    record = Inner(name="a")
    assert (record.with_(size=9), record) == (Inner(name="a", size=9), Inner(name="a"))
    with pytest.raises(TypeError, match="no colour"):
        record.with_(colour="red")


def test_packed_values_are_plain() -> None:
    """Config, records: a packed record is a list of its name and its values."""
    record = Outer(inner=Inner(name="a"), rest=(Inner(name="b"),))
    assert pack(record) == ["Outer", ["Inner", "a", 3], (["Inner", "b", 3],)]
    assert pack({"k": (record.inner, None, True, 1.5)}) == {"k": (["Inner", "a", 3], None, True, 1.5)}


def test_only_plain_values_are_packed() -> None:
    """Config, records: what `marshal` could not give back as it was is refused."""
    with pytest.raises(AssertionError):
        pack([1])


@pytest.mark.parametrize("packed", [["Nothing", 1], ["Inner", "a"], ["Inner", "a", 1, 2]])
def test_values_of_other_records_are_not_unpacked(packed: list[object]) -> None:
    """Config, records: packed values whose record has changed since raise an error."""
    with pytest.raises((KeyError, ValueError)):
        unpack(packed)


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def kinds() -> list[type[Record]]:
    """Return every record of the schema."""
    found = [kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, Record)]
    return [kind for kind in found if kind is not Record]


def filled(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Return records of the schema with any values, which nobody checks, and tuples and maps of them."""

    def one(kind: type[Record]) -> st.SearchStrategy[Record]:
        return st.builds(lambda fields: kind(**fields), st.fixed_dictionaries(dict.fromkeys(kind._defaults, values)))

    return st.sampled_from(kinds()).flatmap(one) | st.lists(values).map(tuple) | st.dictionaries(st.text(), values)


@given(st.recursive(plain, filled, max_leaves=20))
def test_unpacking_undoes_packing(value: object) -> None:
    """Config, records: any tree of records comes back through marshal as it was."""
    assert unpack(marshal.loads(marshal.dumps(pack(value)))) == value  # noqa: S302  written a moment ago


def test_the_schema_has_a_docstring_for_each_record() -> None:
    """Config, records: the schema is a manual, so every record says what it is."""
    assert [kind.__name__ for kind in kinds() if not kind.__doc__] == []
