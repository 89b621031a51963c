"""A stand-in for Amazon, a program of its own: Seller Central's consent page, Login with Amazon, and the parts of
the Selling Partner API that a Seller Flex merchant's software calls. Speaks HTTP; imports nothing of its callers."""

from amazon_sandbox.app import create_app

__all__ = ["create_app"]
