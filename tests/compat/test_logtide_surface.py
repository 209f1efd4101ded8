"""The drop-in shows what logtide-sdk shows."""

from __future__ import annotations

from comparing import Allowed, Shape
from conftest import SameSurface

SHAPE = Shape("logtide", lambda _request, _body: None)


def test_names_signatures_and_defaults_are_those_of_the_original(same_surface: SameSurface) -> None:
    same_surface("logtide_sdk", "logtide_sdk", SHAPE)
