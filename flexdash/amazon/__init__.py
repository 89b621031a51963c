"""Everything that speaks to Amazon, and nothing that knows FlexDash's tables, its configuration or Flask.

Start at `client.AmazonClient`; docs/amazon-client.md shows how it is used and what it promises.
"""
