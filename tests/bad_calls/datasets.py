"""Vocabularies, padding, batches and splits."""

import numpy as np

from seqjax import data
from seqjax.data import Batches
from tests.bad_calls.values import TYPE, VALUE, table, zeros

WORDS = data.words(["a b", "c"])
EXAMPLES = [[1, 2, 3], [4]]
TEXTS = data.LabelledTexts(["a", "b"], np.array([0, 1]), ("no", "yes"), "", "")


def batches(inputs=EXAMPLES, targets=None, **options):
    return lambda: Batches(inputs, targets, **{"batch_size": 2} | options)


# fmt: off
DATA = table(
    ("batches shuffle", batches(shuffle="no"), TYPE, "shuffle | 'no' | True or False"),
    ("split fraction word", lambda: data.split(TEXTS, "half"), TYPE, "fraction | 'half' | between 0 and 1"),
    ("split list", lambda: data.split(["a"]), TYPE, "dataset | a list | LabelledTexts"),
    ("permutation negative", lambda: data.permutation(-1), VALUE, "count | -1 | at least 0"),
    ("permutation float", lambda: data.permutation(2.5), TYPE, "count | 2.5 | an integer"),
    ("words one text", lambda: data.words("a b"), TYPE, "texts | one string | put it in a list"),
    ("words numbers", lambda: data.words(["a", 3]), TYPE, "texts[1] | type int | expected str"),
    ("words min_count", lambda: data.words(["a"], min_count=0), VALUE, "min_count | 0 | at least 1"),
    ("words min_count float", lambda: data.words(["a"], min_count=1.5), TYPE, "min_count | 1.5 | integer"),
    ("words max_size", lambda: data.words(["a"], max_size=3), VALUE, "max_size | 3 | at least 4"),
    ("characters one text", lambda: data.characters("ab"), TYPE, "texts | one string | in a list"),
    ("byte_pairs size", lambda: data.byte_pairs(["ab"], 3), VALUE, "size | 3 | at least 260"),
    ("vocabulary kind", lambda: data.Vocabulary("bytes"), VALUE, "kind | 'bytes' | words, characters"),
    ("vocabulary symbols twice", lambda: data.Vocabulary("words", ("a", "a")),
     VALUE, "symbols | 'a' twice | each symbol once"),
    ("vocabulary encode number", lambda: WORDS.encode(3), TYPE, "text | type int | expected str"),
    ("vocabulary encode list", lambda: WORDS.encode(["a"]), TYPE, "text | type list | one text at a"),
    ("vocabulary decode large", lambda: WORDS.decode([99]), VALUE, "ids[0] | 99 | 0 to 6"),
    ("vocabulary decode float", lambda: WORDS.decode([1.5]), TYPE, "ids[0] | 1.5 | an integer"),
    ("vocabulary decode negative", lambda: WORDS.decode([-1]), VALUE, "ids[0] | -1 | at least 0"),
    ("vocabulary from_json", lambda: data.Vocabulary.from_json("[]"),
     VALUE, "text | type list | expected an object"),
    ("pad words", lambda: data.pad([["a"]]), TYPE, "sequences[0] | dtype <U1 | encode text"),
    ("pad scalars", lambda: data.pad([1, 2]), VALUE, "sequences[0] | 1 | a time axis"),
    ("pad too long", lambda: data.pad(EXAMPLES, 2), VALUE, "sequences[0] | 3 steps | at least 3"),
    ("pad length negative", lambda: data.pad(EXAMPLES, -1), VALUE, "length | -1 | at least 0"),
    ("pad length float", lambda: data.pad(EXAMPLES, 4.0), TYPE, "length | 4.0 | an integer"),
    ("pad value", lambda: data.pad(EXAMPLES, value=float("nan")), VALUE, "value | nan | one number"),
    ("pad features", lambda: data.pad([zeros(2, 3), zeros(2, 4)]), VALUE, "sequences[1] | (2, 4) | (2, 3)"),
    ("pad ragged", lambda: data.pad([[[1], [2, 3]]]), VALUE, "sequences[0] | ragged | the same features"),
    ("bucket_lengths empty", lambda: data.bucket_lengths([]), VALUE, "lengths | shape (0,) | at least one"),
    ("bucket_lengths negative", lambda: data.bucket_lengths([-1]), VALUE, "lengths | -1 | zero or more"),
    ("bucket_lengths float", lambda: data.bucket_lengths([1.0]), TYPE, "lengths | float64 | integers"),
    ("bucket_lengths none", lambda: data.bucket_lengths([1], 0), VALUE, "max_buckets | 0 | at least 1"),
    ("batches empty", batches([]), VALUE, "inputs | empty | at least one sequence"),
    ("batches words", batches([["a"]]), TYPE, "inputs[0] | dtype <U1 | encode text"),
    ("batches batch_size", batches(batch_size=0), VALUE, "batch_size | 0 | at least 1"),
    ("batches batch_size float", batches(batch_size=2.0), TYPE, "batch_size | 2.0 | an integer"),
    ("batches seed", batches(seed=-1), VALUE, "seed | -1 | at least 0"),
    ("batches epochs", batches(epochs=-1), VALUE, "epochs | -1 | at least 0"),
    ("batches max_buckets", batches(max_buckets=0), VALUE, "max_buckets | 0 | at least 1"),
    ("batches padding", batches(padding=0.5), VALUE, "padding | 0.5 | dtype int32"),
    ("batches target_padding", batches(targets=[0, 1], target_padding=0.5),
     VALUE, "target_padding | 0.5 | i"),
    ("batches targets", batches(targets=[1]), VALUE, "targets | 1 entries | one for each"),
    ("batches targets_are", batches(targets_are="label"), VALUE, "targets_are | 'label' | labels, steps"),
    ("batches steps", batches(targets=[[1], [2]], targets_are="steps"),
     VALUE, "targets[0] | 1 steps | targets_are='sequences'"),
    ("batches restore", lambda: batches()().restore({}), VALUE, "state | [] | as state() gives"),
    ("batches restore other data", lambda: batches()().restore(batches([[1], [2]])().state()),
     VALUE, "state['fingerprint'] | but this is | Give the same"),
    ("batches restore other seed", lambda: batches()().restore(batches(seed=3)().state()),
     VALUE, "state['seed'] | 3 | the same seed"),
    ("chunks batch_size", lambda: data.chunks(range(9), 0, 2), VALUE, "batch_size | 0 | at least 1"),
    ("chunks num_steps", lambda: data.chunks(range(9), 2, 0), VALUE, "num_steps | 0 | at least 1"),
    ("chunks num_steps float", lambda: data.chunks(range(9), 2, 2.0), TYPE, "num_steps | 2.0 | an integer"),
    ("chunks too short", lambda: data.chunks(range(4), 2, 2), VALUE, "tokens | 4 steps | fewer rows"),
    ("chunks scalar", lambda: data.chunks(3, 2, 2), VALUE, "tokens | no time axis | [N]"),
    ("chunks text", lambda: data.chunks("abc", 2, 2), TYPE, "tokens | dtype <U3 | encode text"),
    ("split fraction zero", lambda: data.split(TEXTS, 0), VALUE, "fraction | 0 | between 0 and 1"),
    ("split fraction large", lambda: data.split(TEXTS, 20), VALUE, "fraction | 20 | between 0 and 1"),
    ("split fraction nan", lambda: data.split(TEXTS, float("nan")), VALUE, "fraction | nan | between 0"),
    ("split seed", lambda: data.split(TEXTS, 0.5, -1), VALUE, "seed | -1 | at least 0"),
    ("split seed float", lambda: data.split(TEXTS, 0.5, 1.5), TYPE, "seed | 1.5 | an integer"),
    ("split_rows fraction", lambda: data.split_rows([1, 2], 1.0, 0), VALUE, "fraction | 1.0 | between 0"),
)
# fmt: on
