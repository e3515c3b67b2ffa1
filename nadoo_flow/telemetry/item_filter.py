"""The filter that adds the item to log records."""

from __future__ import annotations

import logging

from ..events import find_item, readers


class ItemFilter(logging.Filter):
    """Add to each log record which item it was logged for: ``run``, ``stage`` and ``index``.

    Add it to a handler (``handler.addFilter(ItemFilter())``), since the filters of a logger do not
    see the records of its children. The three are None in records that belong to no item. A record
    that has an attribute of such a name keeps it.

    While it exists, all runs that begin keep track of their items, which costs about half a
    microsecond an item. Records that are logged in other processes have no item.

    Example:
        >>> import logging, sys
        >>> handler = logging.StreamHandler(sys.stdout)
        >>> handler.setFormatter(logging.Formatter("item %(index)s of %(stage)s: %(message)s"))
        >>> handler.addFilter(ItemFilter())
        >>> logger = logging.Logger("shop")
        >>> logger.addHandler(handler)
        >>> processor = BatchProcessor(FunctionNode(logger.info, "order"))
        >>> results = asyncio.run(processor.batch(["paid"]))
        item 0 of order: paid
    """

    def __init__(self) -> None:
        super().__init__()
        readers.add(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the item to a record, which always passes.

        Args:
            record: The record; it gets the attributes.
        """
        item = find_item()
        for name in ("run", "stage", "index"):
            if name not in vars(record):
                setattr(record, name, None if item is None else getattr(item, name))
        return True
