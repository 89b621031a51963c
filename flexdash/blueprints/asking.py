"""Asking before something is deleted or ended: one page for every question that wants no more than a yes or a no.

The view that does it asks on its own address: GET shows the question, and the form posts to where it stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flask import render_template


@dataclass(frozen=True)
class Question:
    """A question and its two answers. `crumbs` are the pages above it, as (label, address)."""

    title: str  # "Remove … ?", with its question mark
    effects: Sequence[str]  # what a yes means, a sentence each
    do_label: str
    keep_label: str
    keep_url: str
    crumbs: Sequence[tuple[str, str]]
    values: Mapping[str, str] = field(default_factory=dict)  # that the form carries


def ask(question: Question) -> str:
    """Return the page that asks."""
    return render_template("layouts/question.html", question=question)
