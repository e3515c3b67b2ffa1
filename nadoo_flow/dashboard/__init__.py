"""Dashboard: a page in the browser that shows runs while they work.

The page is an ASGI app, to mount in an app or to serve from a notebook or a script. It reads the
meters of runs (``boards``, ``snapshot``) and the state of policies (``gauges``) four times a
second, and only while a page is open (``updates``). Requests that are not from the page itself are
refused (``access``).

It may import every room below ``cli``, and no room but ``cli`` imports it.
"""

from .dashboard import Dashboard

__all__ = ["Dashboard"]
