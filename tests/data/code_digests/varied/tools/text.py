"""What the functions of `flow` reach in another module."""

import functools
import re

STOP = frozenset({"the", "a"})
_SPACES = re.compile(r"\s+")


def clean(text):
    return [word for word in _SPACES.split(text.lower()) if word not in STOP]


def logged(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        print("calls", function.__name__)
        return function(*args, **kwargs)

    return inner


class Counter:
    limit = 3

    def __init__(self, start=0):
        self.count = start

    def add(self, words):
        self.count += len(clean(" ".join(words)))
        return min(self.count, self.limit)

    @classmethod
    def made(cls, start):
        return cls(start)

    @staticmethod
    def twice(number):
        return 2 * number

    @property
    def full(self):
        return self.count >= self.limit


class Deep(Counter):
    limit = 5

    def add(self, words):
        return super().add(words) + Counter.twice(1)
