"""`negatives`: choose the words that are farthest from all labels, for NegLabel and CSP."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..data.negatives.methods import METHODS, SHARE, Mining
from ..labels import PROMPT, few
from . import add_model, add_recipe, open_model
from .console import say, tell
from .outputs import check_outputs, save_whole

WHOLE = (
    "WordNet as a whole is more than the lists of 70,000 words that the authors chose from, by a "
    "rule that they do not tell: published numbers are not met to the digit"
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("negatives", help=__doc__, description=__doc__)
    add_model(parser, prompt=None)
    add_recipe(parser)
    parser.add_argument("--method", choices=tuple(METHODS), default="neglabel")
    parser.add_argument(
        "--words",
        metavar="W",
        help="wordnet; vocabulary, what the backbone was taught; a file with a word a line; or a "
        "folder of noun.*.txt and adj.*.txt (vocabulary where it is known, else wordnet)",
    )
    parser.add_argument(
        "--exclude",
        metavar="A,B",
        help="lists not to read, without .txt (for neglabel noun.animal,noun.food; for csp more)",
    )
    some = parser.add_mutually_exclusive_group()
    some.add_argument(
        "--share",
        type=float,
        metavar="P",
        help=f"of nouns and of adjectives each ({SHARE}; all of a vocabulary)",
    )
    some.add_argument("--count", type=int, metavar="N", help="how many in all; published: 10,000")
    parser.add_argument(
        "--quantile",
        type=float,
        default=Mining.quantile,
        metavar="Q",
        help="of a word's cosines to the labels, its distance (%(default)s)",
    )
    parser.add_argument(
        "--too-like",
        type=float,
        metavar="C",
        help="leave out a word with a larger cosine to any label (for csp 0.95, else none)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of csp's nouns behind adjectives (0)"
    )
    parser.add_argument("--out", required=True, metavar="FILE.json", help="is replaced when whole")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..data.negatives.words import load_words

    settings = Mining(
        args.method,
        args.share,
        args.count,
        args.quantile,
        args.too_like,
        None if args.exclude is None else tuple(filter(None, args.exclude.split(","))),
        args.seed,
    )
    check_outputs(args.out)
    known = None if args.words in (None, "vocabulary") else load_words(args.words, settings)
    given = args.prompt
    args.prompt = PROMPT if given is None else given
    backbone, labels = open_model(args)
    from ..scores.mining import default_words, in_known_words, mine

    if given is not None:
        settings = replace(settings, prompt=labels.prompt)
    elif (own := in_known_words(backbone, labels, settings)) != settings:
        say(
            f"{backbone.name} was not taught the words of {args.method}'s prompts: {PROMPT!r} it is"
        )
        settings = own
    source = args.words or default_words(backbone)
    words = known or load_words(source, settings, backbone.concepts, labels.names)
    if source == "wordnet":
        say(WHOLE)
    negatives = mine(backbone, labels, words, settings, say).negatives
    for sentence in negatives.doubts:
        say(sentence)
    save_whole(args.out, negatives.dumps())
    names = [word.word for word in sorted(negatives.words, key=lambda word: word.distance or 0.0)]
    tell(
        f"{len(names)} of {len(words)} candidates are negatives\n"
        f"farthest from the labels: {few(names)}\n"
        f"nearest: {few(names[::-1])}"
    )
    return 0
