"""Prints what in gunicorn.conf.py and the service's args cannot work here, one problem per line. The file is read and not run, so it sees constants."""
import ast
import os

NAME = "gunicorn.conf.py"
SOCKET = "the service answers on a socket that it is handed"
SHORT = {"-D": "daemon", "-p": "pidfile", "-u": "user", "-g": "group", "--pid": "pidfile", "--log-file": "errorlog", "--access-logfile": "accesslog",
         "--error-logfile": "errorlog"}
SWITCHES = {  # what is true in them cannot work
    "reuse_port": SOCKET + ", for which there is no such thing",
    "daemon": "a service must stay in the foreground",
    "proxy_protocol": "NGINX does not speak it",
    "check_config": "gunicorn would check itself and end",
    "print_config": "gunicorn would print its settings and end",
    "certfile": SOCKET + ", and TLS is NGINX's",
    "keyfile": SOCKET + ", and TLS is NGINX's",
}
FILES = ("pidfile", "errorlog", "accesslog", "worker_tmp_dir")


def is_writable(path):
    return path.startswith(("/tmp/", "/dev/", os.environ.get("CHILLBOX_DATA_DIR", "/nonexistent") + "/"))


def problem(name, value):
    if name in SWITCHES and value:
        return SWITCHES[name]
    if name in FILES and isinstance(value, str) and value not in ("", "-", "/dev/shm") and not is_writable(value):
        return "the service can write to $CHILLBOX_DATA_DIR and /tmp only" + ("" if name == "pidfile" else '; "-" is its log')
    if name in ("user", "group") and value not in (None, "", os.environ.get("CHILLBOX_SITE")):
        return "the service runs as the site's own user, and cannot become another"
    return ""


def of_file():
    with open(NAME, "rb") as file:
        text = file.read(1 << 20)
    if b"\0" in text:
        raise ValueError("it is UTF-16: save it as UTF-8")
    for node in ast.parse(text, NAME).body:
        value = getattr(node, "value", None)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if isinstance(value, ast.Constant):
            yield from (("%s, line %d: %s" % (NAME, node.lineno, t.id), t.id, value.value) for t in targets if isinstance(t, ast.Name))


def of_args():
    words = os.environ.get("CHILLBOX_ARGS", "").split("\n")
    for i, word in enumerate(words):
        option, _, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
        name = SHORT.get(option, option[2:].replace("-", "_") if option.startswith("--") else "")
        given = value or (words[i + 1] if i + 1 < len(words) else "")
        yield "args: " + option, name, True if name in SWITCHES else given


def main():
    settings = list(of_args())
    try:
        settings[:0] = of_file() if os.path.isfile(NAME) else []
    except SyntaxError as error:
        print("%s, line %s: %s" % (NAME, error.lineno, error.msg))
    except ValueError as error:
        print("%s: %s" % (NAME, error))
    for where, name, value in settings:
        if problem(name, value):
            print("%s cannot work: %s" % (where, problem(name, value)))


main()
