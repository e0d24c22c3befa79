"""Road signs: a labelled set drawn by the program itself, and one sign as a camera sees it from anywhere.

`face` is a sign's flat texture and `view` the camera, differentiable in it: a sticker put on the face can be optimised
through many poses and tried in others. The labelled set, `signs`, is drawn by the same `view`.
"""

from .camera import view
from .faces import CLASSES, FACE, face, outline, stickers
from .pictures import Roadside, sign, signs
from .scenes import Scenes, scenes

__all__ = ["CLASSES", "FACE", "Roadside", "Scenes", "face", "outline", "scenes", "sign", "signs", "stickers", "view"]
