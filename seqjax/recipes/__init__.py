"""One runnable experiment a file, short enough to fork; `python -m seqjax` runs them by name.

What more than one of them needs, or what would hide what one is about, is in the folders beside them.
"""

RECIPES = {
    "sentiment": "what people feel about what they write: tweets or movie reviews, many to one",
    "digits": "handwritten digits, read row by row or pixel by pixel, many to one",
    "vowels": "who speaks: nine men say two vowels, short series of different lengths, many to one",
    "tagging": "the part of speech of each word of Turkish sentences, by words and their characters, synced",
    "pronunciation": "how English words are pronounced: letters to phonemes, many to many with attention",
    "translation": "English sentences in Italian, French, Spanish or German: many to many with attention",
    "captioning": "what emoji show, in any of 14 languages: convolutions and a decoder, one to many",
    "language_model": "Shakespeare, character by character: synced, truncated backpropagation through time",
    "memory": "what cells remember, and for how long: made-up problems, cells and lengths in a table",
    "chorales": "chorales of Bach as piano rolls, synced; writes a MIDI file of what it makes up",
    "nile": "the flow of the Nile, 1871 to 1970: a local level by the Kalman filter, and its forecast",
    "sunspots": "sunspots of years not seen: AR, TDNN, NARX, LDS and LSTM side by side",
    "co2": "carbon dioxide in the air: trend and seasons by the Kalman filter, with weeks missing",
    "earthquakes": "great earthquakes a year: Poisson hidden Markov models of 1 to 5 states",
    "geyser": "eruptions of Old Faithful: Gaussian hidden Markov models of waiting and duration",
    "yeast": "coding regions of a yeast by a hidden Markov model that learned from two others",
}
"""Recipes by name, a line each.

The module `seqjax.recipes.NAME` holds `Options` and `train`, and what a saved run is asked by: `predict` or
`translate` about texts, `generate` for what follows a prompt.
"""

__all__ = ["RECIPES"]
