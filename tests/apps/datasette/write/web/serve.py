from datasette.app import Datasette
app = Datasette([], immutables=["towns.db"]).app()
