"""Every page there is, from the routes themselves: a new one is looked at without being named."""

from collections.abc import Mapping

from fastapi.routing import APIRoute

from console.app import PAGES

EXAMPLES: Mapping[str, str] = {
    "/agents/{name}": "/agents/clerk-1",
    "/approvals/{request_id}": "/approvals/REQUEST",
    "/audit/entries/{index}": "/audit/entries/0",
    "/policies/grants/{index}": "/policies/grants/ENTRY",
    "/runs/{run_id}": "/runs/RUN",
    "/runs/{run_id}/fork": "/runs/RUN/fork",
    "/runs/{run_id}/rollback": "/runs/RUN/rollback",
    "/servers/{name}": "/servers/desk",
}
"""An example of each page that is about one thing; `REQUEST` is one for approval, `ENTRY` where
it stands in the log, `RUN` a run.
"""

MORE = (
    "/runs/RUN?view=graph",
    "/runs/RUN?view=time",
    "/approvals?show=decided",
    "/policies/try?agent=clerk-1&tool=desk.look",
    "/login",
)

ROUTES = sorted(
    route.path
    for page in PAGES
    for route in page.router.routes
    if isinstance(route, APIRoute) and "GET" in (route.methods or ())
)
PATHS = (*(EXAMPLES[path] if "{" in path else path for path in ROUTES), *MORE)
