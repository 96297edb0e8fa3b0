"""What the tests of Benchmark ask for, and what they look at."""

from demo.benchmark.handlers import ORIGINAL
from demo.benchmark.sets import ZIP
from demo.benchmark.view import KEEP
from demo.server.request import NO_RECIPE, More
from demo.server.shipped import EMBEDDED, label_set
from setar_core.labels import PROMPT

ANIMALS = "\n".join(label_set("animals").names)
SLOW = 120  # seconds; machines that run tests are busy
HOSTILE = '<img src=x onerror="alert(1)">'


def controls(**changes):
    """What the page says, in the order of `Controls`."""
    said = {
        "backbone": EMBEDDED,
        "labels": ANIMALS,
        "prompt": PROMPT,
        "recipe": NO_RECIPE,
        "score": "mcm",
        "temperature": 1.0,
        "local_weight": 1.0,
        **{name: value for name, value in More()._asdict().items() if name != "strength"},
        "recipes": [ORIGINAL],
        "scores": ["mcm", "energy"],
        "inside": ZIP,
        "id_zip": None,
        "outside": [],
        "ood_zips": [],
    }
    return list((said | changes).values())


def begun(handlers, asked):
    """A run that stands before its first batch, as views; and its name."""
    views = handlers.run(None, *asked)
    return views, next(views).name


def filled(views, field):
    return [value for v in views if (value := getattr(v, field)) and value != KEEP]


def waiting(shown):
    """How many cells of a table are not scored yet."""
    return sum(cell is None for row in shown.rows for cell in row.cells)
