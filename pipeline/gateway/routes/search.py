"""`GET /v1/search`: videos by title, moments by what is said or shown."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from pipeline.gateway.access import Parts, Querying
from pipeline.gateway.models import Limit, Offset, SearchResult, SearchResults
from pipeline.gateway.problems import answers
from pipeline.search import Search

router = APIRouter(tags=["search"])


@router.get("/v1/search", response_model=SearchResults, responses=answers())
def search(
    gateway: Parts,
    _: Querying,
    q: Annotated[str, Query(min_length=1, max_length=200, description="All its words must be there.")],
    kind: Annotated[Literal["title", "subtitle", "label"] | None, Query(description="Default: all.")] = None,
    language: Annotated[str | None, Query(max_length=40, description="Of subtitles.")] = None,
    offset: Offset = 0,
    limit: Limit = 50,
) -> SearchResults:
    """Titles first, then labels by probability, then subtitles by video and moment."""
    found = Search(gateway.library).find(q, kind, language)
    page = [SearchResult(**hit.document()) for hit in found[offset : offset + limit]]
    return SearchResults(results=page, total=len(found))
