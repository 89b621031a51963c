"""What the dashboard tells: orders to work, freshness, people, and the figures of its charts."""
