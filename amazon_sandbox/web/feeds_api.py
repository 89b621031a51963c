"""Feeds 2021-06-30 for JSON_LISTINGS_FEED, and the addresses behind which feed documents lie."""

from collections.abc import Callable

from flask import Blueprint, Response, request

from amazon_sandbox.web import connection, gate
from amazon_sandbox.web.gate import Answer, amazon_operation, json_body, query, world
from amazon_sandbox.world.errors import ApiError, invalid_input
from amazon_sandbox.world.feed_documents import MAX_UPLOAD_BYTES, FeedDocument
from amazon_sandbox.world.world import World

blueprint = Blueprint("feeds_api", __name__)
ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>'


@blueprint.post("/feeds/2021-06-30/documents")
@amazon_operation("createFeedDocument")
def create_document(seller_id: str) -> Answer:
    """A place for a document, with the address to put it to."""
    query()
    body = json_body(is_required=True)
    content_type = body.get("contentType") if isinstance(body, dict) else None
    if not isinstance(content_type, str) or not content_type:
        raise invalid_input("contentType is required.")
    document = world().feed_documents.add(seller_id, content_type)
    return 201, {"feedDocumentId": document.id, "url": _address("PUT", document, "createFeedDocument")}


@blueprint.post("/feeds/2021-06-30/feeds")
@amazon_operation("createFeed")
def create_feed(seller_id: str) -> Answer:
    """A feed of an uploaded document."""
    query()
    body = json_body(is_required=True)
    if not isinstance(body, dict):
        raise invalid_input("The body must be an object.")
    document_id, feed_type = body.get("inputFeedDocumentId"), body.get("feedType")
    marketplace_ids = body.get("marketplaceIds")
    if not isinstance(document_id, str) or not isinstance(feed_type, str):
        raise invalid_input("inputFeedDocumentId and feedType are required.")
    if not isinstance(marketplace_ids, list) or not 1 <= len(marketplace_ids) <= 25:
        raise invalid_input("marketplaceIds must be a list of 1 to 25 ids.")
    return 202, {"feedId": world().feeds.create(seller_id, document_id, feed_type, marketplace_ids).id}


@blueprint.get("/feeds/2021-06-30/feeds/<feed_id>")
@amazon_operation("getFeed")
def get_feed(seller_id: str, feed_id: str) -> Answer:
    """How far a feed is."""
    query()
    feed = world().feeds.find(feed_id, seller_id)
    if feed is None:
        raise ApiError(404, "NotFound", "The requested resource was not found.", f"There is no feed {feed_id}.")
    return 200, feed.body()


@blueprint.get("/feeds/2021-06-30/documents/<document_id>")
@amazon_operation("getFeedDocument")
def get_document(seller_id: str, document_id: str) -> Answer:
    """Where a document can be read."""
    query("enableContentEncodingUrlHeader")
    document = world().feed_documents.find(document_id, seller_id)
    if document is None or document.content is None:
        words = f"There is no document {document_id}."
        raise ApiError(404, "NotFound", "The requested resource was not found.", words)
    body = {"feedDocumentId": document.id, "url": _address("GET", document, "getFeedDocument")}
    return 200, body | ({"compressionAlgorithm": "GZIP"} if document.is_gzip else {})


@blueprint.put("/documents/<document_id>")
def upload(document_id: str) -> Response:
    """Keeps a document's content, as the store behind Amazon's presigned addresses does."""
    request.max_content_length = MAX_UPLOAD_BYTES + 1

    def keep(here: World, document: FeedDocument) -> Response:
        if request.headers.get("Content-Type", "") != document.content_type:
            return _refused(403, "SignatureDoesNotMatch", "The Content-Type is not the one the document was made with")
        if (request.content_length or 0) > MAX_UPLOAD_BYTES:
            return _refused(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        here.feed_documents.put(document.id, request.get_data())
        return Response(status=200)

    return _behind_address("uploadFeedDocument", document_id, keep)


@blueprint.get("/documents/<document_id>")
def download(document_id: str) -> Response:
    """A document's content."""

    def give(_here: World, document: FeedDocument) -> Response:
        if document.content is None:
            return _refused(404, "NoSuchKey", "The specified key does not exist")
        return Response(document.content, content_type=document.content_type)

    return _behind_address("downloadFeedDocument", document_id, give)


def _address(method: str, document: FeedDocument, operation: str) -> str:
    here = world()
    is_expired = bool(here.faults.fires(("document_url_expired",), operation, seller_id=document.seller_id))
    base_url = gate.config().public_url or request.host_url.rstrip("/")
    return here.feed_documents.address(base_url, method, document.id, is_expired=is_expired)


def _behind_address(name: str, document_id: str, work: Callable[[World, FeedDocument], Response]) -> Response:
    """Does `work` when the address is good, counted and with the faults set for `name`."""
    here, outcome = world(), "cut"
    here.stats.begin(name)
    try:
        if "x-amz-access-token" in request.headers or "Authorization" in request.headers:
            here.stats.refused("token_at_document")  # it must never leave for the place where documents lie
        response = _answer(here, name, document_id, work)
        if not response.headers.get("Connection"):
            outcome = str(response.status_code)
        return response
    finally:
        here.stats.end(name, outcome)


def _answer(here: World, name: str, document_id: str, work: Callable[[World, FeedDocument], Response]) -> Response:
    if not gate.wait(here, name):
        return connection.cut(request.environ)
    fault = here.faults.fires(gate.BEFORE, name)
    if fault is not None:
        if fault.kind == "cut":
            return connection.cut(request.environ)
        if fault.kind == "html_instead_of_json":
            return Response(gate.HTML, fault.status, mimetype="text/html")
        return _refused(503 if fault.kind == "error_503" else 500, "InternalError", "A fault set in the sandbox")
    given = (request.args.get("expires", ""), request.args.get("signature", ""))
    document = here.feed_documents.find(document_id)
    if document is None or not here.feed_documents.is_good(request.method, document_id, *given):
        return _refused(403, "AccessDenied", "Request has expired or is not signed")
    if "x-amz-access-token" in request.headers or "Authorization" in request.headers:
        return _refused(400, "InvalidArgument", "Only one auth mechanism allowed")
    response = work(here, document)
    fault = here.faults.fires(gate.AFTER_WORK, name) if response.status_code < 400 else None
    if fault is None:
        return response
    if fault.kind == "drop_after_effect":
        return connection.cut(request.environ)
    return connection.cut_within_body(request.environ, response)


def _refused(status: int, code: str, message: str) -> Response:
    return Response(ERROR.format(code, message), status, mimetype="application/xml")
