"""Rows of a data dump's XML file, as they are read: no tree is built, no entity is expanded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

from timebank_chain.activity.sources.files import open_input
from timebank_chain.errors import ActivityError

_CHUNK = 1 << 18


def xml_rows(path: Path, root: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield ``(line, attributes)`` of every ``<row>`` of a dump file, as it is read.

    Raises
    ------
    ActivityError
        With line and column, if the file is no well-formed XML, ends early, declares a document type or
        entities, or its root element is another than ``root``.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.sax import make_parser

    handler = _Rows(root)
    parser = make_parser()
    parser.forbid_dtd = True
    parser.setContentHandler(handler)
    handler.position = parser.getLineNumber
    hint = "fetch the file again; nothing of it was used"
    try:
        with open_input(path) as binary:
            while chunk := binary.read(_CHUNK):
                parser.feed(chunk)
                yield from handler.take()
        parser.close()
        yield from handler.take()
    except SAXParseException as error:
        raise ActivityError(
            f"not well-formed XML: {error.getMessage()}",
            where=f"{path}:{error.getLineNumber()}, column {(error.getColumnNumber() or 0) + 1}",
            hint=hint,
        ) from error
    except DefusedXmlException as error:
        raise ActivityError(
            f"XML with a document type or entities is refused: {error}",
            where=f"{path}:{parser.getLineNumber()}, column {(parser.getColumnNumber() or 0) + 1}",
            hint=hint,
        ) from error
    if not handler.started:
        raise ActivityError("the file is empty", where=f"{path}:1, column 1", hint=hint)
    if handler.other_root is not None:
        raise ActivityError(
            f"the root element is <{handler.other_root}>, not <{root}>", where=f"{path}:1", hint=hint
        )


class _Rows(ContentHandler):
    """Collects the rows of one chunk."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root
        self.depth = 0
        self.started = False
        self.other_root: str | None = None
        self.rows: list[tuple[int, dict[str, str]]] = []
        self.position: Callable[[], int | None] = lambda: None

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802 - SAX calls it so
        self.started = True
        if self.depth == 0 and name != self.root:
            self.other_root = name
        elif self.depth == 1 and name == "row" and self.other_root is None:
            self.rows.append((self.position() or 0, {str(key): str(attrs[key]) for key in attrs.getNames()}))
        self.depth += 1

    def endElement(self, name: str) -> None:  # noqa: N802 - SAX calls it so
        self.depth -= 1

    def take(self) -> list[tuple[int, dict[str, str]]]:
        rows, self.rows = self.rows, []
        return rows
