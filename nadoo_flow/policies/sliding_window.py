"""What was charged in the last seconds, in any number of units, without rounding."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from math import inf, nextafter
from operator import add, le, sub
from typing import TypeAlias

Amount: TypeAlias = "int | Fraction"
Amounts: TypeAlias = "tuple[Amount, ...]"
"""An amount of each unit, in the order of the limits."""


def make_exact(number: float) -> Amount:
    """Return a number as the int or the fraction that it is written as.

    Sums of floats would drift away from what is in the window.
    """
    if isinstance(number, int):
        return number
    return int(number) if number.is_integer() else Fraction(repr(number))


class Charge:
    """What a call that has started is charged.

    Attributes:
        amounts: Of each unit.
        expires: The time at which it has left the window.
        is_in_window: Whether it is among the sums of the window.
    """

    __slots__ = ("amounts", "expires", "is_in_window")

    def __init__(self, amounts: Amounts, expires: float) -> None:
        self.amounts = amounts
        self.expires = expires
        self.is_in_window = True


class SlidingWindow:
    """The charges of the last seconds, and what is reserved for calls that are about to start.

    Args:
        per: Length of the window in seconds.
        limits: Most of each unit in any window, wherever it is laid.
    """

    def __init__(self, per: float, limits: Amounts) -> None:
        self._per = per
        self._limits = limits
        self._charges: deque[Charge] = deque()
        self._sums: list[Amount] = [0] * len(limits)

    def copy_charges(self) -> SlidingWindow:
        """Return a window with the same charges, and nothing reserved."""
        copy = SlidingWindow(self._per, self._limits)
        for charge in self._charges:
            copy.reserve(charge.amounts)
            copy._charges.append(charge)
        return copy

    def sum_charges(self, now: float) -> Amounts:
        """Return what is charged, of each unit, and change nothing; any thread may ask."""
        amounts = [charge.amounts for charge in tuple(self._charges) if charge.expires > now]
        return tuple(map(sum, zip(*amounts, strict=True))) or (0,) * len(self._limits)

    @property
    def sums(self) -> Amounts:
        """What is charged or reserved, of each unit, with what has expired and is not forgotten."""
        return tuple(self._sums)

    def expire(self, now: float) -> None:
        """Forget what has left the window."""
        charges = self._charges
        while charges and charges[0].expires <= now:
            charge = charges.popleft()
            charge.is_in_window = False
            self.give_back(charge.amounts)

    def has_room(self, amounts: Amounts) -> bool:
        """Return whether a call may start with regard to what has not expired."""
        sums = map(add, self._sums, amounts)
        # What needs nothing of a unit does not wait for it.
        return all(
            total <= limit or not amount
            for total, limit, amount in zip(sums, self._limits, amounts, strict=True)
        )

    def is_over(self) -> bool:
        """Return whether more is charged and reserved than a limit."""
        return not all(map(le, self._sums, self._limits))

    def get_next_expiry(self) -> float:
        """Return when the next charge leaves the window; infinity if there is none."""
        return self._charges[0].expires if self._charges else inf

    def reserve(self, amounts: Amounts) -> None:
        """Count a call that is about to start."""
        self._sums = list(map(add, self._sums, amounts))

    def give_back(self, amounts: Amounts) -> None:
        """Count a call no longer."""
        self._sums = list(map(sub, self._sums, amounts))

    def start(self, amounts: Amounts, now: float) -> Charge:
        """Charge a call, for which this is reserved, from now on."""
        # The float behind the rounded sum is never before the exact one.
        charge = Charge(amounts, nextafter(now + self._per, inf))
        self._charges.append(charge)
        return charge

    def start_if_room(self, amounts: Amounts, now: float) -> Charge | None:
        """Charge a call that nothing is reserved for, if there is room."""
        charges = self._charges
        if charges and charges[0].expires <= now:
            self.expire(now)
        sums = list(map(add, self._sums, amounts))
        if not (all(map(le, sums, self._limits)) or self.has_room(amounts)):
            return None
        self._sums = sums
        charge = Charge(amounts, nextafter(now + self._per, inf))
        charges.append(charge)
        return charge

    def correct(self, charge: Charge, amounts: Amounts) -> None:
        """Let a call have been charged other amounts from its start on."""
        if charge.is_in_window:
            self._sums = list(map(add, map(sub, self._sums, charge.amounts), amounts))
            charge.amounts = amounts
