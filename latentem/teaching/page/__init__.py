"""A trace as a page that a browser shows: its contents, and the document around them."""

from latentem.teaching.page.contents import contents
from latentem.teaching.page.document import document, frame, writable

__all__ = ["contents", "document", "frame", "writable"]
