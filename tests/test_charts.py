"""The geometry of the charts: round scales, columns that stack, and a value that is small yet seen."""

from datetime import date

import pytest

from flexdash.blueprints.charts import runs_per_day
from flexdash.services.dashboard.figures import Day
from flexdash.templating.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Series


def chart(*values: list[float], **series) -> Chart:
    labels = [str(n) for n in range(len(values[0]))]
    made = [Series(f"S{n}", "good", one, **series) for n, one in enumerate(values)]
    return Chart("c", "Title", "Says.", "Label", labels, labels, made)


@pytest.mark.parametrize(
    ("highest", "ceiling"), [(0, 1), (1, 1), (2, 2), (3, 4), (7, 10), (11, 20), (61, 100), (1_204, 2_000)]
)
def test_the_scale_ends_at_a_round_number(highest, ceiling) -> None:
    assert chart([highest]).ceiling == ceiling
    assert chart([highest]).grid[-1].at == TOP


def test_columns_stack_and_stay_inside() -> None:
    bars = chart([6, 0], [4, 10]).bars
    assert [round(bar.height) for bar in bars] == [79, 53, 132]
    assert bars[1].y == pytest.approx(TOP, abs=0.2)
    assert bars[1].y + bars[1].height == pytest.approx(bars[0].y, abs=0.2)
    assert all(bar.x > LEFT and bar.x + bar.width < RIGHT for bar in bars)


def test_one_failure_among_thousands_is_still_drawn() -> None:
    assert chart([5_000], [1]).bars[-1].height >= 1.5


def test_a_line_goes_through_every_point() -> None:
    points = chart([0, 5, 10]).points
    assert [y for _, y in points] == [BOTTOM, (TOP + BOTTOM) / 2, TOP]


def test_numbers_say_when_there_are_more_and_lead_to_their_list() -> None:
    series = Series("S", "good", [3_000, 0], most=3_000, urls=["/a", "/b"])
    assert (series.words(0), series.words(1)) == ("3,000 or more", "0")
    assert (series.url(0), series.url(1)) == ("/a", None)


def test_nothing_at_all_is_not_drawn() -> None:
    assert not chart([0, 0]).has_values
    assert chart([0, 1]).has_values


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((5, 1, 0, 2), "6 sync runs in the last seven days; 1 run did not go through whole; 2 turns were skipped."),
        ((3, 0, 0, 0), "3 sync runs in the last seven days; all went well."),
        ((0, 0, 0, 1), "No sync has run in the last seven days; 1 turn was skipped."),
        ((0, 0, 0, 0), "No sync has run in the last seven days."),
    ],
)
def test_the_words_of_the_runs_say_what_is_drawn(app, numbers, says) -> None:
    with app.test_request_context():
        assert runs_per_day([Day(date(2026, 11, 30), *numbers)]).says == says
