"""tree.py DIR COUNT: twenty folders with files of 1 to 8 KB of what looks like program text, the same each time."""
import os
import random
import sys

top, count = sys.argv[1], int(sys.argv[2])
random.seed(1)
words = [b"import", b"return", b"self", b"value", b"None", b"if", b"else", b"def", b"class", b"request"]
for i in range(count):
    folder = f"{top}/part{i % 20}/of{i % 400}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/file{i}.py", "wb") as file:
        file.write(b" ".join(random.choices(words, k=random.randint(150, 1200))))
