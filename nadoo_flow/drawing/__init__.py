"""Drawing: SVG, the boxes of a diagram, and the frame in which a notebook shows a picture.

It writes plain SVG and HTML, without scripts and without anything from the network. The rooms above
decide what is drawn. It may import ``_support``.
"""
