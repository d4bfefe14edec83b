"""The base of every record of the results: no unknown key, no NaN."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of the results: unknown keys, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def checked_json(record: type[Record], content: dict[str, Any]) -> str:
    """The text of a JSON file of that record; raises ``ValidationError`` where the content is not one."""
    told = record.model_validate(content).model_dump(mode="json", by_alias=True)
    return json.dumps(told, indent=1, allow_nan=False) + "\n"
