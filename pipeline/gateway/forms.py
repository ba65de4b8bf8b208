"""Multipart forms, with an end to everything in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from pipeline.gateway.problems import Problem

MOST_FILES, MOST_FIELDS = 40, 20
MOST_FIELD_BYTES = 64 << 10


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[FormData]:
    """The form of a request; its files are gone after the block. Raises Problem when it is none."""
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=MOST_FIELD_BYTES)
    except HTTPException as error:
        raise Problem(400, f"the form cannot be read: {error.detail}") from None
    try:
        yield form
    finally:
        await form.close()
