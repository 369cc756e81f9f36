"""Admission, charges and what keys have spent."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from busbar_fast.governance.keys import Key
from busbar_fast.governance.ledger import MOST, Charge, Delta, Ledger, Prices, Refused, Standing, prices

MIDNIGHT = 1709251200  # 2024-03-01
FREE = Prices(0, 0)


def key(name: str = "a", **limits: Any) -> Key:
    """Return a key with these limits."""
    return Key(f"vk_{name}", name, **limits)


def admitted(ledger: Ledger, asking: Key, at_s: int = 0) -> Charge:
    """Return the charge of a request that is let in."""
    charge = ledger.admit(asking, at_s)
    assert isinstance(charge, Charge)
    return charge


def refused(ledger: Ledger, asking: Key, at_s: int = 0) -> int | None:
    """Return when a request that is not let in should come back."""
    answer = ledger.admit(asking, at_s)
    assert isinstance(answer, Refused)
    return answer.retry_after_s


# Rates


def test_headroom_is_the_smaller_share_that_is_left() -> None:
    """Reliability §11: the less of requests and tokens left in this minute, within 0 and 1; None without limits."""
    ledger = Ledger()
    plain, both, tokens = key("p"), key("b", rpm_limit=4, tpm_limit=100), key("t", tpm_limit=100)
    assert [ledger.headroom(one, 0) for one in (plain, both, tokens)] == [None, 1.0, 1.0]
    admitted(ledger, both).settle(10)
    admitted(ledger, tokens).settle(130)
    assert [ledger.headroom(one, 0) for one in (both, tokens)] == [0.75, 0.0]
    admitted(ledger, both).settle(50)
    assert ledger.headroom(both, 0) == pytest.approx(0.4)
    assert ledger.headroom(both, 60) == 1.0


def test_requests_of_a_minute_are_limited() -> None:
    """Governance case 22: three are let in, the fourth hears how long the minute lasts, the next minute is another."""
    ledger, asking = Ledger(), key(rpm_limit=3)
    for _ in range(3):
        admitted(ledger, asking, 61)
    assert [refused(ledger, asking, at_s) for at_s in (61, 119)] == [59, 1]
    admitted(ledger, asking, 120)


def test_tokens_of_a_minute_are_limited() -> None:
    """Governance case 24: those that were reported by now; the first request of a minute always goes."""
    ledger, asking = Ledger(), key(tpm_limit=100)
    admitted(ledger, asking, 0).settle(150)
    assert refused(ledger, asking, 10) == 50
    admitted(ledger, asking, 60)


def test_tokens_that_come_late_belong_to_the_live_minute() -> None:
    """Governance case 25 and §5: they never wipe it; where no minute is live, it begins with them."""
    ledger, asking = Ledger(), key(tpm_limit=100, rpm_limit=9)
    early = admitted(ledger, asking, 59)
    admitted(ledger, asking, 61)
    early.settle(100)
    assert refused(ledger, asking, 62) == 58
    later = admitted(ledger, asking, 125)
    ledger.sweep(200)
    later.settle(100)  # the entry is gone, and credit makes none
    admitted(ledger, asking, 126)


def test_an_entry_older_than_the_request_begins_anew() -> None:
    """Governance §5: an entry of an older window restarts at the request's window with its tokens."""
    ledger, asking = Ledger(), key(tpm_limit=100)
    admitted(ledger, asking, 0).settle(99)
    Charge(ledger, asking.id, 60, 0, 0).settle(100)
    assert refused(ledger, asking, 61) == 59


def test_a_clock_that_steps_back_resets_nothing() -> None:
    """Governance case 60: windows never move backwards, and nobody waits for more than a minute."""
    ledger, asking = Ledger(), key(rpm_limit=1)
    admitted(ledger, asking, 120)
    assert refused(ledger, asking, 30) == 60
    daily = key("b", budget_period="daily", max_budget_cents=1)
    admitted(ledger, daily, MIDNIGHT)
    assert refused(ledger, daily, MIDNIGHT - 90) is None


def test_a_clock_that_steps_back_behind_the_start_opens_no_older_window() -> None:
    """Governance §5 "clock steps back": of windows before the start nothing was read, so none of them begins anew."""
    day = 86400
    ledger = Ledger(floor_s=day)
    daily = key(budget_period="daily", max_budget_cents=1)
    assert admitted(ledger, daily, day - 10).window_s == day
    assert ledger.standing(daily, day - 10).window_start == day
    assert isinstance(ledger.admit(daily, day - 5), Refused)


def test_keys_without_a_rate_take_no_room() -> None:
    """Governance case 60: ten thousand of them leave the table empty, and silent ones are dropped."""
    ledger = Ledger(sweep_every=100)
    for number in range(10_000):
        admitted(ledger, key(str(number)))
    assert ledger._rates == {}
    for number in range(50):
        admitted(ledger, key(f"r{number}", rpm_limit=1), 0)
    assert len(ledger._rates) == 50
    for _ in range(100):
        admitted(ledger, key("plain"), 60)
    assert ledger._rates == {}


def test_a_request_over_budget_takes_no_place_in_the_minute() -> None:
    """Governance §3: all of it or nothing."""
    ledger, asking = Ledger(), key(rpm_limit=2, max_budget_cents=1)
    admitted(ledger, asking)
    assert [refused(ledger, asking) for _ in range(5)] == [None] * 5
    assert ledger._rates[asking.id].requests == 1


# Budgets


def test_a_budget_is_never_exceeded_by_fees() -> None:
    """Governance cases 27 and 29: a cap of two lets two in; a cap of nothing lets in nobody, at any price."""
    ledger, asking = Ledger(), key(max_budget_cents=2)
    for _ in range(2):
        admitted(ledger, asking)
    assert refused(ledger, asking) is None
    assert ledger.standing(asking, 0) == Standing(2, 0, 2, 0, None, 0)
    assert refused(Ledger(), key(max_budget_cents=0)) is None
    assert refused(Ledger(FREE), key(max_budget_cents=0)) is None


def test_tokens_alone_exhaust_a_budget() -> None:
    """Governance case 28: no fee, a cent for a thousand tokens, a cap of one cent."""
    ledger, asking = Ledger(prices(0, 1, 0)), key(max_budget_cents=1)
    admitted(ledger, asking).settle(999)
    admitted(ledger, asking).settle(1)
    assert refused(ledger, asking) is None


@pytest.mark.parametrize(
    ("price", "tokens", "millicents"),
    [
        (prices(1, 1, 0), [500, 500, 500], 4500),
        (prices(0, 0, 15), [100, 100], 3),
        (prices(0, 0, 1), [999, 1], 1),
        (prices(0, 1, 0), [-5], 0),
    ],
)
def test_parts_of_cents_add_up(price: Prices, tokens: list[int], millicents: int) -> None:
    """Governance case 31 and §6: remainders are kept to the last part of a millicent, and no price is negative."""
    ledger, asking = Ledger(price), key()
    for used in tokens:
        admitted(ledger, asking).settle(used)
    (delta,) = ledger.take_deltas()
    assert delta == Delta(asking.id, 0, millicents, sum(map(abs, tokens)) if tokens != [-5] else 0, len(tokens))
    assert ledger.standing(asking, 0).spend_cents == millicents // 1000


def test_an_absurd_count_is_held_to_what_is_possible() -> None:
    """Governance §6: saturating, so that what is to be stored can be stored."""
    ledger, asking = Ledger(prices(0, 10**9, 0)), key(tpm_limit=1)
    for _ in range(3):
        admitted(ledger, asking, 60 * len(ledger._deltas)).settle(10**18)
        ledger.sweep(10**6)
    (delta,) = ledger.take_deltas()
    assert (delta.millicents, delta.tokens) == (MOST, 3 * 2**40)
    assert ledger.standing(asking, 0).spend_cents == MOST // 1000


def test_what_failed_is_given_back_once() -> None:
    """Governance case 26 and §3: fee and request; the minute keeps its request."""
    ledger, asking = Ledger(), key(rpm_limit=9, max_budget_cents=5)
    charge = admitted(ledger, asking)
    for _ in range(3):
        charge.close()
    charge.settle(5)
    assert ledger.standing(asking, 0) == Standing(0, 0, 0, 0, None, 5)
    assert ledger._rates[asking.id].requests == 1
    kept = admitted(ledger, asking)
    kept.settle(0)
    kept.close()
    assert ledger.standing(asking, 0).requests == 1


def test_days_roll_and_late_tokens_go_to_their_own() -> None:
    """Governance case 32: the new day is fresh; tokens and refunds of yesterday touch only yesterday's row."""
    ledger, asking = Ledger(prices(1, 1, 0)), key(budget_period="daily", max_budget_cents=2)
    before, failing = admitted(ledger, asking, MIDNIGHT - 1), admitted(ledger, asking, MIDNIGHT - 1)
    ledger.take_deltas()
    assert ledger.standing(asking, MIDNIGHT) == Standing(0, 0, 0, MIDNIGHT, MIDNIGHT + 86400, 2)
    admitted(ledger, asking, MIDNIGHT)
    before.settle(700)
    failing.close()
    assert ledger.standing(asking, MIDNIGHT) == Standing(1, 0, 1, MIDNIGHT, MIDNIGHT + 86400, 1)
    yesterday = MIDNIGHT - 86400
    assert set(ledger.take_deltas()) == {
        Delta(asking.id, MIDNIGHT, 1000, 0, 1),
        Delta(asking.id, yesterday, -300, 700, -1),
    }


def test_a_key_that_is_gone_is_forgotten() -> None:
    """Governance §9: cells and what was to be stored of it; what comes late of it is dropped."""
    ledger, asking = Ledger(), key(rpm_limit=5)
    one, other = admitted(ledger, asking), admitted(ledger, asking)
    admitted(ledger, key("b"))
    deltas = ledger.take_deltas()
    one.settle(5)
    ledger.forget(asking.id)
    other.settle(5)
    admitted(ledger, key("c")).close()
    ledger.give_back(deltas)
    ledger.forget("vk_nobody")
    assert {delta.key_id for delta in ledger.take_deltas()} == {"vk_b", "vk_c"}
    gone = Charge(ledger, asking.id, 0, 0, 1000)
    gone.close()
    assert not ledger.is_dirty


def test_what_was_stored_goes_on() -> None:
    """Governance case 31: a restart in between changes nothing, the part of a cent included."""
    ledger, asking = Ledger(prices(0, 1, 0)), key(max_budget_cents=1)
    ledger.load(Delta(asking.id, 0, 500, 500, 3))
    assert ledger.standing(asking, 0) == Standing(0, 500, 3, 0, None, 1)
    admitted(ledger, asking).settle(500)
    assert refused(ledger, asking) is None
    assert ledger.standing(key("new"), 0) == Standing(0, 0, 0, 0, None, None)


def test_what_may_be_used_must_fit() -> None:
    """Governance §8: set aside until the end, in the window of the request, and never stored."""
    ledger, asking = Ledger(prices(1, 10, 0)), key(max_budget_cents=25, budget_period="daily")
    first = ledger.admit(asking, MIDNIGHT, 1000)
    assert isinstance(first, Charge)
    second = ledger.admit(asking, MIDNIGHT, 1000)
    assert isinstance(second, Charge)
    assert ledger.admit(asking, MIDNIGHT, 1000) == Refused()
    assert ledger.standing(asking, MIDNIGHT).spend_cents == 2
    first.settle(100)
    third = ledger.admit(asking, MIDNIGHT, 1000)
    assert isinstance(third, Charge)
    second.close()
    admitted(ledger, asking, MIDNIGHT + 86400)
    third.settle(5)
    fits = ledger.admit(asking, MIDNIGHT + 86400, 2300)
    assert isinstance(fits, Charge)
    assert ledger.admit(asking, MIDNIGHT + 86400, 1) == Refused()


class Money(RuleBasedStateMachine):
    """Any order of requests, ends, storing and failing to store, against a recount of everything that happened."""

    def __init__(self) -> None:
        super().__init__()
        self.price = prices(1, 3, 0)
        self.ledger = Ledger(self.price)
        self.key = key(max_budget_cents=20, budget_period="daily")
        self.at_s = MIDNIGHT - 3
        self.open: list[Charge] = []
        self.kept: dict[int, list[int]] = {}  # by window: millicents, tokens, requests
        self.stored: dict[int, list[int]] = {}

    def row(self, rows: dict[int, list[int]], window_s: int) -> list[int]:
        """Return what is counted of a window."""
        return rows.setdefault(window_s, [0, 0, 0])

    @rule()
    def ask(self) -> None:
        """A request comes."""
        answer = self.ledger.admit(self.key, self.at_s)
        window_s = self.at_s - self.at_s % 86400
        spent = self.row(self.kept, window_s)[0]
        assert isinstance(answer, Charge) is (spent + 1000 <= 20_000)
        if isinstance(answer, Charge):
            self.open.append(answer)
            self.count(window_s, 1000, 0, 1)

    @precondition(lambda self: self.open)
    @rule(tokens=st.integers(0, 500), pick=st.randoms(use_true_random=False))
    def end(self, tokens: int, pick: Any) -> None:
        """A request ends well."""
        charge = self.open.pop(pick.randrange(len(self.open)))
        charge.settle(tokens)
        self.count(charge.window_s, tokens * 3, tokens, 0)

    @precondition(lambda self: self.open)
    @rule(pick=st.randoms(use_true_random=False))
    def fail(self, pick: Any) -> None:
        """A request ends badly."""
        charge = self.open.pop(pick.randrange(len(self.open)))
        charge.close()
        self.count(charge.window_s, -1000, 0, -1)

    @rule(passed_s=st.integers(1, 3))
    def wait(self, passed_s: int) -> None:
        """Time passes, sometimes midnight."""
        self.at_s += passed_s

    @rule(is_stored=st.booleans())
    def store(self, is_stored: bool) -> None:
        """What is new is stored, or cannot be."""
        deltas = self.ledger.take_deltas()
        if not is_stored:
            self.ledger.give_back(deltas)
            return
        for delta in deltas:
            for place, amount in enumerate(delta[2:]):
                self.row(self.stored, delta.window_s)[place] += amount

    def count(self, window_s: int, *amounts: int) -> None:
        """Count what should be."""
        for place, amount in enumerate(amounts):
            self.row(self.kept, window_s)[place] += amount

    @invariant()
    def nothing_is_lost(self) -> None:
        """What is stored and what is to be stored are all there is."""
        total = {window_s: list(row) for window_s, row in self.stored.items()}
        deltas = self.ledger.take_deltas()
        for delta in deltas:
            for place, amount in enumerate(delta[2:]):
                self.row(total, delta.window_s)[place] += amount
        self.ledger.give_back(deltas)
        assert {w: row for w, row in total.items() if any(row)} == {w: row for w, row in self.kept.items() if any(row)}
        standing = self.ledger.standing(self.key, self.at_s)
        spent, tokens, requests = self.kept.get(standing.window_start, [0, 0, 0])
        assert (standing.spend_cents, standing.tokens, standing.requests) == (spent // 1000, tokens, requests)


TestMoney = Money.TestCase
TestMoney.settings = settings(derandomize=True, deadline=None, max_examples=60, stateful_step_count=40)
