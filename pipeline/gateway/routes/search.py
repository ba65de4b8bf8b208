"""`GET /v1/search`: videos by title, moments by what is said or shown."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from pipeline.gateway.access import Parts, Querying
from pipeline.gateway.listing import page_of
from pipeline.gateway.models import Limit, Offset, SearchResult, SearchResults
from pipeline.gateway.problems import answers
from pipeline.search import Search, Wanted

router = APIRouter(tags=["search"])

_SORTS = {
    "rank": lambda entry: entry[0],
    "video": lambda entry: (entry[1].video, entry[1].at_seconds),
    "at_seconds": lambda entry: (entry[1].at_seconds, entry[1].video),
}


@router.get("/v1/search", response_model=SearchResults, responses=answers(404))
def search(
    gateway: Parts,
    _: Querying,
    q: Annotated[str, Query(min_length=1, max_length=200, description="All its words must be there.")],
    kind: Annotated[Literal["title", "subtitle", "label"] | None, Query(description="Default: all.")] = None,
    language: Annotated[str | None, Query(max_length=40, description="Of subtitles.")] = None,
    video: Annotated[str | None, Query(max_length=200, description="In this one alone.")] = None,
    shortest: Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False, description="Seconds.")] = 0.0,
    sort: Annotated[str, Query(description="rank, video or at_seconds; - before it: descending")] = "rank",
    offset: Offset = 0,
    limit: Limit = 50,
) -> SearchResults:
    """Videos by title, moments by what they show (labels) and by what is said in them; in this order by rank."""
    looked, wanted = Search(gateway.library), Wanted(kind, language, video, shortest)
    found = list(enumerate(looked.find(q, wanted)))
    near = [] if found else looked.near(q, wanted)
    page = [SearchResult(**hit.document()) for _, hit in page_of(found, sort, _SORTS, offset, limit)]
    return SearchResults(results=page, total=len(found), near=near)
