"""The state in PostgreSQL, which several bridges share: one owns it and works, the others stand by.

It needs the extra ``postgresql`` (psycopg 3), and is imported only where ``state.url`` names a database.
"""
