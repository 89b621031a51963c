"""Why something is not as it should be: each question is a table of checks, looked at in order until one says why.

`checks` has the words all of them use; each question has a module of its own. Nothing is changed from here: Amazon is
asked, and what it says is shown.
"""
