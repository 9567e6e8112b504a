import os
import time

with open(os.path.join(os.environ["CHILLBOX_DATA_DIR"], "worker." + os.environ["CHILLBOX_WORKER"]), "w") as out:
    print(os.environ["VERSION"], os.getpid(), file=out)
while True:
    time.sleep(60)
