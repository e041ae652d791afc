"""Importing ultralytics leaves other libraries as they are."""

import subprocess
import sys

SCRIPT = """
import cv2, PIL.Image, torch
before = cv2.imread, cv2.imwrite, cv2.imshow, PIL.Image.open, torch.save
from openuni import env
env.prepare()
from openuni.annotators.yolo import others_untouched
with others_untouched():
    import ultralytics
    from ultralytics import YOLO
    after = cv2.imread, cv2.imwrite, cv2.imshow, PIL.Image.open, torch.save
    assert after != before, "nothing to undo: drop others_untouched"
assert before == (cv2.imread, cv2.imwrite, cv2.imshow, PIL.Image.open, torch.save)
"""


def test_ultralytics_leaves_opencv_pillow_and_torch_alone():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-500:]
