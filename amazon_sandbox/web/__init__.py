"""The sandbox over HTTP: token service, Seller Central, the Selling Partner API, and the control pages."""
