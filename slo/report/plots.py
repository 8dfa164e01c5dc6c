"""The plots of a report, as SVG: a budget as it was spent, coloured by cause; and where the GPU-hours went.

Only `slo report` imports this: matplotlib takes half a second to load.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager

import matplotlib as mpl
import numpy as np
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from slo.report.figures import UNKNOWN, Burn

COLOURS: Mapping[str, str] = {  # of Okabe and Ito, whom eyes that mix up red and green can tell apart
    "neighbour": "#d55e00",
    "clocks": "#e69f00",
    "configuration": "#009e73",
    "device": "#0072b2",
    "unexplained": "#56b4e9",
    UNKNOWN: "#999999",
}
_OTHERS = ("#332288", "#88ccee", "#117733", "#ddcc77", "#882255", "#aa4499", "#44aa99")
_STATES: Mapping[str, str] = {
    "delivered": "#009e73",
    "borrowed": "#56b4e9",
    "idle_held": "#b3b3b3",
    "unsold": "#e5e5e5",
    "switching": "#f0e442",
    "blind": "#332288",
}
_WIDTH = 8.0  # inches


def burn_down(burn: Burn) -> str:
    """Draw the budget of an objective as it was spent; the line at 100 % is the whole of it."""
    with _look():
        figure = Figure(figsize=(_WIDTH, 2.6), layout="constrained")
        axes = figure.subplots()
        causes = list(burn.spent)
        colours = [COLOURS.get(cause) or _OTHERS[place % len(_OTHERS)] for place, cause in enumerate(causes)]
        times = np.array(burn.ends, dtype="datetime64[s]")
        axes.stackplot(times, [burn.spent[cause] * 100 for cause in causes], labels=causes, colors=colours, linewidth=0)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))  # type: ignore[no-untyped-call]
        axes.axhline(100, color="#cc0000", linewidth=1)
        axes.set_ylabel("% of the budget spent")
        axes.set_ylim(bottom=0)
        axes.margins(x=0)
        axes.legend(loc="upper left", frameon=False, ncols=4, fontsize=9)
        return _svg(figure)


def gpu_hours(hours: Mapping[str, float]) -> str:
    """Draw where the GPU-hours went, as one bar."""
    with _look():
        figure = Figure(figsize=(_WIDTH, 1.3), layout="constrained")
        axes = figure.subplots()
        left = 0.0
        for state, value in hours.items():
            axes.barh([0], [value], left=left, color=_STATES.get(state, "#999999"), label=state, height=0.6)
            left += value
        axes.set_yticks([])
        axes.margins(x=0)
        axes.set_xlabel("GPU-hours")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, ncols=6, fontsize=9)
        return _svg(figure)


def _look() -> AbstractContextManager[None]:
    return mpl.rc_context(
        {
            "svg.fonttype": "none",  # text stays text: to be found, read aloud, and small
            "svg.hashsalt": "slicewatch",  # one input, one file
            "font.family": "sans-serif",
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )


def _svg(figure: Figure) -> str:
    """The SVG element, without what stands before it in a file."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
