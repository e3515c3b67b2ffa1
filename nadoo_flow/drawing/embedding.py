"""SVG markup inside HTML that a notebook may not trust.

JupyterLab takes the SVG elements out of the outputs of a notebook that was not run here, such as
a downloaded one, and leaves their texts, a wall of words. It takes style sheets out as a whole, so
one of them shows what is hidden without it.
"""

from __future__ import annotations

from base64 import b64encode

_STYLE = "<style>.nadoo-live{display:block!important}.nadoo-still{display:none!important}</style>"


def embed_live(svg: str) -> str:
    """Embed a picture that answers to the pointer; where it is not trusted nothing is shown."""
    # JupyterLab also takes out attributes that have no value.
    return f'{_STYLE}<div class="nadoo-live" hidden="hidden">{svg}</div>'


def embed_with_still(svg: str) -> str:
    """Embed a picture that answers to the pointer; where it is not trusted an image is shown."""
    data = b64encode(svg.encode()).decode()
    image = f'<img class="nadoo-still" src="data:image/svg+xml;base64,{data}" alt="">'
    return embed_live(svg) + image
