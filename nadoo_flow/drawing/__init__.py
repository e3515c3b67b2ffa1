"""Drawing: SVG, the boxes of a diagram, and the frame in which a notebook shows a picture.

Plain SVG and HTML, without scripts and without anything from the network. What is drawn is decided
by the rooms above. It may import ``_support``.
"""
