"""What an application serves, as the application itself says."""

from collections.abc import Iterable, Iterator
from typing import Any

from starlette.routing import Route


def served(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Verb and path of every route, those of included routers among them."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((v, prefix + route.path) for v in route.methods or () if v != "HEAD")
        else:
            yield from served(route.original_router.routes, prefix + route.include_context.prefix)
