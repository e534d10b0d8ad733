"""Paths as what a step returned, in the words of Marin's executor."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel


class PathMetadata(BaseModel):
    """One output path."""

    path: str


@dataclass
class PathsMetadata:
    """The files of an output, and the folder that they are in."""

    parent_path: str
    paths: list[str]
