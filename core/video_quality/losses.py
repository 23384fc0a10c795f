"""The training loss of teacher and student (METHODS 5, step 6; the document's claim 7)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from core.video_quality.model import Judgement

MARGIN = 0.15
"""By how much the score is to fall from one step of a ladder to the next, where the labels fall by as much."""


@dataclass(frozen=True)
class LossWeights:
    """What each term of the loss counts for.

    Attributes:
        teacher: the teacher's prediction against the label.
        student: the student's prediction against the label.
        distance: between the two quality features.
        faults: the faults seen by both against those that were made; not in the document.
        order: the student's score of a clip against that of the next step down its ladder; not in the document.
    """

    teacher: float = 1.0
    student: float = 1.0
    distance: float = 1.0
    faults: float = 0.5
    order: float = 1.0


@dataclass(frozen=True)
class Labels:
    """Of a batch: shares of opinions over the five levels (B, 5), and strengths of the faults (B, 7), 0 to 1."""

    levels: Tensor
    faults: Tensor


def quality_loss(
    teacher: Judgement | None, student: Judgement | None, labels: Labels, weights: LossWeights = LossWeights()
) -> Tensor:
    """The three terms of the document, and one for the faults.

    The predictions are held against the labels by the earth mover's distance over the five levels in order, squared
    (Talebi and Milanfar, "NIMA", 2018, equation 2 with r = 2); the quality features, which both networks bring to mean
    0 and deviation 1, by their mean squared difference, which teaches the student and leaves the teacher alone.

    Args:
        teacher: its judgement, or None to train the student by the labels alone.
        student: its judgement, or None to train the teacher alone.
        labels: of the batch.
        weights: of the terms.
    """
    loss = labels.levels.new_zeros(())
    for judgement, weight in ((teacher, weights.teacher), (student, weights.student)):
        if judgement is not None:
            loss = loss + weight * level_loss(judgement.levels, labels.levels)
            loss = loss + weights.faults * F.binary_cross_entropy_with_logits(judgement.faults, labels.faults)
    if teacher is not None and student is not None:
        loss = loss + weights.distance * F.mse_loss(student.quality, teacher.quality.detach())
    return loss


def level_loss(logits: Tensor, levels: Tensor) -> Tensor:
    """The squared earth mover's distance of predicted and given distributions (B, 5), mean over the batch."""
    difference = logits.softmax(-1).cumsum(-1) - levels.cumsum(-1)
    return difference.square().sum(-1).mean()


def order_loss(better: Tensor, worse: Tensor, gap: Tensor) -> Tensor:
    """How far scores (B,) fall short of falling from one step to the next, mean over the batch.

    Args:
        better: scores of clips.
        worse: scores of the same clips one step further down.
        gap: by how much their labels fall; no more than `MARGIN` is asked for.
    """
    return (gap.clamp(0, MARGIN) - (better - worse)).relu().mean()
