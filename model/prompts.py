"""Modality prompts C_m: a modality's wording, with what is to be drawn put into it where the sample's facts tell.

UnityVideo (arXiv 2512.07831, In-Context Learner) trains with phrases as "two persons", so that "two objects" is
understood unseen. The words are ours, see Modality.wordings.
"""

from openuni.errors import BadInput
from openuni.modality import modality

PLACES = {
    "depth": (
        ("depth map", "depth map of {}"),
        ("every surface", "every surface of {}"),
        ("scene depth", "the depth of {}"),
        ("this scene", "{}"),
        ("each point", "each point of {}"),
    ),
    "flow": (
        ("optical flow", "optical flow of {}"),
        ("every pixel", "every pixel of {}"),
        ("motion field", "motion field of {}"),
        ("this scene", "{}"),
        ("a video of movement", "a video of the movement of {}"),
    ),
    "densepose": (
        ("body parts", "body parts of {}"),
        ("each person", "{}"),
        ("dense human pose", "dense human pose of {}"),
        ("every pixel", "every pixel of {}"),
        ("the people in this video", "{}"),
    ),
    "skeleton": (
        ("skeletons", "skeletons of {}"),
        ("the people in this video", "{}"),
        ("every person", "{}"),
        ("human pose", "human pose of {}"),
        ("each person", "{}"),
    ),
    "segmentation": (
        ("instance masks", "instance masks of {}"),
        ("every object", "{}, each"),
        ("the moving things in this video", "{}"),
        ("which object", "which of {}"),
        ("object masks", "masks of {}"),
    ),
}
"""Modality -> for each of its wordings, words in it and what stands there with a subject, {}."""


def modality_prompt(
    name: str, *, draw: int | None = None, subject: str | None = None, override: str | None = None
) -> str:
    """Write the modality prompt of one sample.

    Args:
        name: a modality.
        draw: any whole number >= 0; it picks a wording, equally often over random numbers. None: the first one.
        subject: what is to be drawn, "two persons" (see openuni/subjects.py). None: nothing is said of it.
        override: the whole prompt, in place of wording and subject; for checkpoints with prompts of their own.

    Returns:
        Plain English without a full stop: "instance masks of two persons, one colour for each object, ...".

    Raises:
        UnknownName: there is no such modality.
        BadInput: the draw is negative, or a subject or override is blank.
    """
    wordings = modality(name).wordings
    for what, text in (("subject", subject), ("modality prompt", override)):
        if text is not None and not text.strip():
            raise BadInput(f"The {what} is blank: give words, or leave it out.")
    if draw is not None and draw < 0:
        raise BadInput(f"A prompt is drawn by a whole number of 0 or more, got {draw}.")
    if override is not None:
        return override.strip()
    number = (draw or 0) % len(wordings)
    if subject is None:
        return wordings[number]
    words, put = PLACES[name][number]
    return wordings[number].replace(words, put.format(subject.strip()), 1)
