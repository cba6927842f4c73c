"""What every notebook shows things with: a figure under the claim that it proves, and tables.

`show` puts the claim above the figure and the same in words below it, so that who cannot see the picture reads it.
"""

import re

BLUE, ORANGE, RED, GREEN, GREY = "#1971C2", "#D9480F", "#C2255C", "#2B8A3E", "#666666"


def style():
    """Sets matplotlib's defaults to the look of the lessons: small text, no box around the axes.

    Examples
    --------
    >>> style()
    """
    import matplotlib

    matplotlib.rcParams |= {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.dpi": 100,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
    }


def show(figure, claim, alternative):
    """Displays a figure under its claim; and in words, for readers who do not see it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        It is closed afterwards.
    claim : str
        What the figure shows, as one sentence; an assertion in the cell holds it.
    alternative : str
        The figure in words, with its numbers.
    """
    import matplotlib.pyplot as plt
    from IPython.display import HTML, display

    figure.suptitle(claim, x=0.01, ha="left", weight="bold", fontsize=11.5)
    # A minus sign stands after no letter or digit, or in an exponent; all else, as in NT-Xent, is a hyphen.
    alternative = re.sub(r"(?<!\w)-|(?<=\de)-(?=\d)", "−", alternative)
    display(figure, metadata={"image/png": {"alt": f"{claim}. {alternative}"}})
    display(HTML(f"<details><summary>The figure in words</summary><p>{alternative}</p></details>"))
    plt.close(figure)


def table(head, rows, left=1):
    """A table in Markdown; all columns but the first `left` ones are set to the right.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of sequences
    left : int

    Returns
    -------
    IPython.display.Markdown

    Examples
    --------
    >>> print(table(["loss", "value"], [["nt_xent", 1.5]]).data)
    | loss | value |
    | --- | ---: |
    | nt_xent | 1.5 |
    """
    from IPython.display import Markdown

    lines = [head, ["---"] * left + ["---:"] * (len(head) - left), *rows]
    return Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))
