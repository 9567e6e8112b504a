import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    text = "feed %s by ASGI %s\n" % (os.environ["VERSION"], scope["asgi"]["version"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode()})
