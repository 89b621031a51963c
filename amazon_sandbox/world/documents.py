"""Invoices and labels as real little files: PDF, PNG and ZPL, made without any library."""

import hashlib
import hmac
import struct
import zlib
from typing import Any
from urllib.parse import quote, urlencode

from amazon_sandbox.world.clock import Clock

LINK_SECONDS = 3600
CONTENT_TYPES = {"PDF": "application/pdf", "PNG": "image/png", "ZPL": "application/zpl"}


class LabelLinks:
    """Addresses that open a label for an hour without any token, as presigned ones do."""

    def __init__(self, key: bytes, clock: Clock):
        self._key, self._clock = key, clock

    def make(self, base_url: str, shipment_id: str, package_id: str) -> str:
        """The address of one package's label."""
        expires = str(int(self._clock.now()) + LINK_SECONDS)
        query = urlencode({"expires": expires, "signature": self._sign(shipment_id, package_id, expires)})
        return f"{base_url}/labels/{quote(shipment_id, safe='')}/{quote(package_id, safe='')}?{query}"

    def is_good(self, shipment_id: str, package_id: str, expires: str, signature: str) -> bool:
        """Whether the address was made here and is not too old."""
        is_ours = hmac.compare_digest(signature.encode(), self._sign(shipment_id, package_id, expires).encode())
        return is_ours and int(expires) >= self._clock.now()

    def _sign(self, *parts: str) -> str:
        return hmac.new(self._key, "\n".join(("label", *parts)).encode(), hashlib.sha256).hexdigest()


def tracking_id(shipment_id: str, package_id: str) -> str:
    """A tracking number that stays the same for a package."""
    digest = hashlib.sha256(f"{shipment_id}/{package_id}".encode()).hexdigest()
    return f"SBX{int(digest[:15], 16) % 10**12:012d}"


def label(shipment: dict[str, Any], package_id: str, kind: str) -> bytes:
    """The label of a package as PDF, PNG or ZPL."""
    number = tracking_id(shipment["id"], package_id)
    address = shipment["shippingInfo"].get("shipToAddress", {})
    lines = [
        "SANDBOX LABEL - DO NOT SHIP",
        f"Shipment {shipment['id']}   package {package_id}",
        f"From {shipment['locationId']}",
        f"To {address.get('name', '')}",
        f"{address.get('addressLine1', '')}, {address.get('postalCode', '')} {address.get('city', '')}",
        f"Tracking {number}",
    ]
    if kind == "ZPL":
        return _zpl(lines, number)
    return _png(number) if kind == "PNG" else pdf(lines, width=288, height=432)


def invoice_pdf(shipment: dict[str, Any]) -> bytes:
    """The invoice of a shipment: its lines, tax and total."""
    info = shipment.get("invoiceInfo", {"invoiceId": "-", "creationDateTime": shipment["lastUpdatedDateTime"]})
    total = shipment["charges"][0]
    lines = [
        "SANDBOX INVOICE - NOT A TAX DOCUMENT",
        f"Invoice {info['invoiceId']} of {info['creationDateTime'][:10]}",
        f"Order {shipment['shipmentInfo']['buyerOrderId']}   shipment {shipment['id']}",
        "",
    ]
    for line in shipment["lineItems"]:
        amount = line["charges"][0]["totalCharge"]["netAmount"]
        price = f"{amount['value']} {amount['currencyCode']}"
        lines.append(f"{line['numberOfUnits']} x {line['merchantSku']}   {price}")
    tax, net = total["totalTax"]["charge"]["netAmount"], total["totalCharge"]["netAmount"]
    lines += ["", f"Tax {tax['value']} {tax['currencyCode']}", f"Total {net['value']} {net['currencyCode']}"]
    return pdf(lines)


def pdf(lines: list[str], width: int = 595, height: int = 842) -> bytes:
    """A one-page PDF (sizes in points) with these lines of text; letters Latin-1 lacks become question marks."""
    shown = [line.encode("latin-1", "replace").decode("latin-1") for line in lines]
    escaped = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in shown]
    text = "".join(f"({line}) Tj T*\n" for line in escaped)
    stream = f"BT /F1 11 Tf 16 TL 24 {height - 40} Td\n{text}ET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>" % (width, height),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    content, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(content))
    return content + b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table) + trailer


def _zpl(lines: list[str], number: str) -> bytes:
    fields = "".join(f"^FO40,{60 + 50 * n}^A0N,32,32^FD{line}^FS\n" for n, line in enumerate(lines))
    return f"^XA\n^CI28\n{fields}^FO40,420^BCN,160,Y,N,N^FD{number}^FS\n^XZ\n".encode()


def _png(number: str, width: int = 400, height: int = 200) -> bytes:
    """Black bars that spell the number's bits: enough of a picture to be shown and printed."""
    bits = "".join(f"{byte:08b}" for byte in number.encode())
    step = max(1, (width - 40) // len(bits))
    row = bytearray(b"\xff" * width)
    for place, bit in enumerate(bits):
        if bit == "1":
            row[20 + place * step : 20 + (place + 1) * step] = b"\x00" * step
    blank = b"\x00" + b"\xff" * width
    rows = blank * 20 + (b"\x00" + bytes(row)) * (height - 40) + blank * 20
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
