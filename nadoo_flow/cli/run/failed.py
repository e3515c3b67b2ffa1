"""The failures of a run, in a file from which they can be run again."""

from __future__ import annotations

import os
from dataclasses import replace

from ...dead_letters import DeadLetterError, LetterFile, make_letter
from ...results.batch_result import BatchResult
from .bad_line import BadLine


class FailedFile:
    """Writes the letter of each failure, each as soon as it is there.

    The file is written anew by each run, so that it holds what has failed in this one. It is not
    touched before the first result. A file of something else is refused.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: LetterFile | None = None

    def open(self) -> LetterFile:
        """Return the file; the first call makes it empty.

        Raises:
            DeadLetterError: If it cannot be used.
        """
        if self._file is None:
            self._file = LetterFile(self._path)
            os.truncate(self._path, 0)
        return self._file

    def take(self, result: BatchResult) -> None:
        """Write the letter of a result that has failed.

        Raises:
            DeadLetterError: If that is not possible, as on a full disk.
        """
        file = self.open()
        if result.success:
            return
        letter = make_letter(result)
        if isinstance(bad := result.input_data, BadLine):
            letter = replace(letter, input=bad.text, form="text")
        try:
            file.write(letter)
        except OSError as error:
            raise DeadLetterError(
                f"the file of dead letters {self._path!r} cannot be written: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
