"""What a WSGI server loads: `gunicorn wsgi:app`."""

from flexdash import create_app

app = create_app()
