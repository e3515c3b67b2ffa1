"""The type variables of the public face.

Each has a default, so that a class is used without parameters as easily as with them. The bound
lets a checker take the parameter of a lambda for Any where nothing says its type.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import TypeVar

Input = TypeVar("Input", bound=Any, default=Any)
Output = TypeVar("Output", bound=Any, default=Any)
Next = TypeVar("Next", bound=Any, default=Any)
Made = TypeVar("Made", bound=Any, default=Any)

Input_co = TypeVar("Input_co", bound=Any, default=Any, covariant=True)
Input_contra = TypeVar("Input_contra", bound=Any, default=Any, contravariant=True)
Output_co = TypeVar("Output_co", bound=Any, default=Any, covariant=True)
Made_co = TypeVar("Made_co", bound=Any, default=Any, covariant=True)
