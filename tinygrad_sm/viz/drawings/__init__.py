"""Scenes as pictures: DOT text with tables and heat maps, themes, the text form, and `draw`."""
