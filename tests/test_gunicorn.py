"""How gunicorn is told to serve FlexDash."""

import runpy

from gunicorn.config import Config

from config import PROJECT_DIR


def test_no_header_of_a_request_can_name_its_path():
    settings = runpy.run_path(str(PROJECT_DIR / "gunicorn.conf.py"))
    served = Config()
    assert "PATH_INFO" in served.forwarder_headers  # what gunicorn would do by itself
    served.set("forwarder_headers", settings["forwarder_headers"])
    assert served.forwarder_headers == []
