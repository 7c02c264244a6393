"""Data sets, what is taken from them, and generated tasks."""

import numpy as np

from seqjax import data
from seqjax.data import synthetic
from tests.bad_calls.values import TYPE, VALUE, table

TEXTS = data.LabelledTexts(["a", "b"], np.array([0, 1]), ("no", "yes"), "", "")

# fmt: off
READERS = table(
    ("pronunciation stress", lambda: data.pronunciation(stress=1), TYPE, "stress | 1 | True or False"),
    ("treebank genre", lambda: data.treebank("news"), VALUE, "genre | 'news' | web, wiki"),
    ("translation language", lambda: data.translation("en"), VALUE, "language | 'en' | it, fr, es, de"),
    ("emoji_captions language", lambda: data.emoji_captions("xx"), VALUE, "language | 'xx' | en, ar, de"),
    ("emoji_captions size", lambda: data.emoji_captions(size=73), VALUE, "size | 73 | at most 72"),
    ("emoji_captions size zero", lambda: data.emoji_captions(size=0), VALUE, "size | 0 | at least 1"),
    ("emoji_captions size float", lambda: data.emoji_captions(size=8.0), TYPE, "size | 8.0 | an integer"),
    ("split_combinations texts", lambda: data.split_combinations(TEXTS),
     TYPE, "captions | LabelledTexts | Captions"),
    ("chorales repeats", lambda: data.chorales(repeats="no"), TYPE, "repeats | 'no' | True or False"),
    ("piano_roll low", lambda: data.piano_roll([[35]]), VALUE, "pitches | 35 | 36 to 81"),
    ("piano_roll scalar", lambda: data.piano_roll(60), VALUE, "pitches | one number | [T, voices]"),
    ("piano_roll float", lambda: data.piano_roll([60.5]), TYPE, "pitches | float64 | integers"),
    ("piano_roll range", lambda: data.piano_roll([[60]], lowest=60, highest=59),
     VALUE, "highest | 59 | at least 60"),
    ("split_ends list", lambda: data.split_ends(["a"]), TYPE, "texts | list | shakespeare()"),
    ("split_ends fraction", lambda: data.split_ends(data.Texts([], [], "", ""), 1),
     VALUE, "fraction | 1 | between 0 and 1"),
    ("split_ends word", lambda: data.split_ends(data.Texts([], [], "", ""), "half"),
     TYPE, "fraction | 'half' | between 0 and 1"),
    ("take array", lambda: data.take(np.zeros(3), [0]), TYPE, "dataset | ndarray | a named tuple"),
    ("take tuple", lambda: data.take((1, 2), [0]), TYPE, "dataset | tuple | a named tuple"),
    ("take beyond", lambda: data.take(TEXTS, [0, 2]), VALUE, "rows | from 0 to 2 | 0 to 1"),
    ("take negative", lambda: data.take(TEXTS, [-1]), VALUE, "rows | from -1 to -1 | 0 to 1"),
    ("take booleans", lambda: data.take(TEXTS, [True, False]), TYPE, "rows | dtype bool | integers"),
    ("take matrix", lambda: data.take(TEXTS, [[0]]), VALUE, "rows | shape (1, 1) | one axis"),
    ("split_by keys", lambda: data.split_by(TEXTS, [1]), VALUE, "keys | 1 entries | 2"),
    ("split_by fraction", lambda: data.split_by(TEXTS, [1, 2], 0), VALUE, "fraction | 0 | between 0 and 1"),
    ("adding_problem short", lambda: synthetic.adding_problem(1, 1, seed=0),
     VALUE, "num_steps | 1 | at least 2"),
    ("adding_problem rows", lambda: synthetic.adding_problem(0, 9, seed=0),
     VALUE, "batch_size | 0 | at least 1"),
    ("adding_problem seed", lambda: synthetic.adding_problem(1, 9, seed=-1), VALUE, "seed | -1 | at least 0"),
    ("adding_problem seed text", lambda: synthetic.adding_problem(1, 9, seed="now"),
     TYPE, "seed | 'now' | an integer"),
    ("temporal_order short", lambda: synthetic.temporal_order(1, 9, seed=0),
     VALUE, "num_steps | 9 | at least 10"),
    ("copying_memory delay", lambda: synthetic.copying_memory(1, 0, seed=0), VALUE, "delay | 0 | at least 1"),
    ("copying_memory symbols", lambda: synthetic.copying_memory(1, 1, seed=0, num_symbols=0),
     VALUE, "num_symbols | 0 | at least 1"),
    ("parity float", lambda: synthetic.parity(1, 2.0, seed=0), TYPE, "num_steps | 2.0 | an integer"),
    ("flip_flop rate", lambda: synthetic.flip_flop(1, 2, seed=0, rate=2), VALUE, "rate | 2 | from 0 to 1"),
    ("flip_flop rate nan", lambda: synthetic.flip_flop(1, 2, seed=0, rate=float("nan")),
     VALUE, "rate | nan | from 0 to 1"),
    ("flip_flop rate text", lambda: synthetic.flip_flop(1, 2, seed=0, rate="0.1"),
     TYPE, "rate | '0.1' | from 0 to 1"),
    ("dyck kinds", lambda: synthetic.dyck(1, 2, seed=0, num_kinds=0), VALUE, "num_kinds | 0 | at least 1"),
    ("dyck depth", lambda: synthetic.dyck(1, 2, seed=0, max_depth=0), VALUE, "max_depth | 0 | at least 1"),
    ("integer_addition digits", lambda: synthetic.integer_addition(1, 19, seed=0),
     VALUE, "num_digits | 19 | 18"),
)
# fmt: on
