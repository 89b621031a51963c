"""From the bytes of an uploaded file to its text: which encodings there are, and what is no text at all."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

# Name as codecs know it: name as people know it. The first is tried by itself, the others a person picks.
ENCODINGS = {
    "utf-8": "UTF-8",
    "windows-1252": "Windows-1252 (Western European)",
    "utf-16-le": "UTF-16, little-endian",
    "utf-16-be": "UTF-16, big-endian",
    "windows-1250": "Windows-1250 (Central European)",
    "windows-1251": "Windows-1251 (Cyrillic)",
    "windows-1254": "Windows-1254 (Turkish)",
    "windows-1256": "Windows-1256 (Arabic)",
    "cp932": "Shift JIS (Japanese)",
    "mac-roman": "Mac Roman (older Excel on a Mac)",
}
LONGEST_LINE = 1_000_000  # characters; no row of a catalog comes near it

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_OTHER_FILES = (
    (b"PK\x03\x04", "a spreadsheet or zip file"),
    (b"PK\x05\x06", "a zip file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "a compressed file"),
    (b"Rar!\x1a", "a compressed file"),
    (b"BZh", "a compressed file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"{\\rtf", "a word processor's file"),
)
_WEB_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!doctype|html|table)\b", re.IGNORECASE)
_AS_CSV = "Open it in the program that made it, save it as “CSV UTF-8”, and upload that file."


class NotUsable(Exception):
    """The file as a whole cannot be used; `sentence` says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True)
class Block:
    """Whole lines of the file, with line feeds at their ends, and how many bytes of it are read with them."""

    text: str
    n_bytes_read: int


class FirstLook:
    """Looks at a file's bytes as they arrive and raises NotUsable for what is no CSV whatever its encoding."""

    def __init__(self) -> None:
        self._is_first, self._may_have_nul = True, False

    def at(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if self._is_first:
            self._is_first = False
            if what := _other_file(chunk):
                raise NotUsable(f"This is {what} and no CSV file, whatever its name ends in. {_AS_CSV}")
            self._may_have_nul = bool(unmarked_utf_16(chunk)) or marked_encoding(chunk).startswith("utf-16")
        if not self._may_have_nul and b"\0" in chunk:
            raise NotUsable(f"This is no text but some program's own file, so there are no rows to read. {_AS_CSV}")


def marked_encoding(beginning: bytes) -> str:
    """Return the encoding that the byte order mark at the beginning of a file names, "" when there is no mark."""
    return next((name for mark, name in _MARKS if beginning.startswith(mark)), "")


def unmarked_utf_16(beginning: bytes) -> str:
    """Return the UTF-16 encoding that the beginning of a file without a byte order mark shows, "" when it is another.

    A header is made of ASCII letters, so every other byte of it is zero.
    """
    sample = beginning[:40]
    high, low = sample[::2], sample[1::2]  # of big-endian characters
    if len(sample) < 4 or marked_encoding(beginning):
        return ""
    if not high.strip(b"\0") and b"\0" not in low:
        return "utf-16-be"
    return "utf-16-le" if not low.strip(b"\0") and b"\0" not in high else ""


def blocks(chunks: Iterable[bytes], encoding: str) -> Iterator[Block]:
    """Yield the file's text in blocks of whole lines, a block per chunk or so; every line ends in a line feed.

    Of a line longer than LONGEST_LINE there is one character more than that and not the rest, so that its row can be
    told from a whole one. Raises NotUsable where the bytes are no text in `encoding`.
    """
    pending, is_cutting, n_read = "", False, 0
    for text, n_read in _decoded(chunks, encoding):
        if is_cutting:
            _, line_feed, text = text.partition("\n")
            is_cutting = not line_feed
        text = pending + text
        end = text.rfind("\n") + 1
        whole, pending = text[:end], text[end:]
        if len(pending) > LONGEST_LINE:
            whole += pending[: LONGEST_LINE + 1] + "\n"
            pending, is_cutting = "", True
        if whole:
            yield Block(whole, n_read)
    if pending:
        yield Block(pending + "\n", n_read)


def readings(line: bytes) -> list[tuple[str, str]]:
    """Return how `line` reads in each encoding in which it is text: (name of the encoding, text)."""
    found = []
    for name in ENCODINGS:
        try:
            text = line.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and all(character.isprintable() or character in "\t\r\n" for character in text):
            found.append((name, text.strip()))
    return found


def _decoded(chunks: Iterable[bytes], encoding: str) -> Iterator[tuple[str, int]]:
    """Yield (text, bytes read so far), every line break a line feed."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    held, is_first, n_read, n_lines = "", True, 0, 0
    for chunk in chain(chunks, (b"",)):
        is_end = not chunk
        try:
            text = decoder.decode(chunk, is_end)
        except UnicodeDecodeError as error:
            row = n_lines + error.object[: error.start].decode(encoding, "ignore").count("\n") + 1
            raise NotUsable(_not_in(encoding, row, is_end)) from None
        if "\0" in text:
            raise NotUsable(f"This is no text in {ENCODINGS[encoding]}. Pick another encoding below. {_AS_CSV}")
        if is_first and text:
            text = text.lstrip("\ufeff")  # some programs put the mark before one that is there already
            is_first = not text
        text = held + text
        held = "\r" if text.endswith("\r") and not is_end else ""  # its line feed may come with the next chunk
        if "\r" in text:
            text = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
        n_read += len(chunk)
        n_lines += text.count("\n")
        yield text, n_read


def _other_file(beginning: bytes) -> str:
    if _WEB_PAGE.match(beginning):
        return "a web page or XML file"
    return next((what for mark, what in _OTHER_FILES if beginning.startswith(mark)), "")


def _not_in(encoding: str, row: int, is_at_end: bool) -> str:
    if is_at_end:
        return (
            f"The file ends in the middle of a character of {ENCODINGS[encoding]}: it was cut off, or it is in another "
            "encoding. Save it again as “CSV UTF-8”, or pick its encoding below."
        )
    return (
        f"About row {row:,} the file is not {ENCODINGS[encoding]}, so its letters cannot be read for certain. Pick its "
        "encoding below and look at the letters, or save it again as “CSV UTF-8”."
    )
