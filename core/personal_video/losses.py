"""What the generation network is trained by; the planner's loss is `core.personal_video.planning.plan_loss`."""

from torch import Tensor

_LEAST_NOISE = 0.2


def flow_loss(made: Tensor, clip: Tensor, level: Tensor) -> Tensor:
    """The squared error of the flow, (B,): of the clip over (1 − level)², as flow = (clip − noisy) / (1 − level).

    Args:
        made: (B, T, 3, H, W), the clip as the network says.
        clip: (B, T, 3, H, W), as it is.
        level: (B,); the division stops at 0.8.
    """
    return (made.float() - clip).square().mean((1, 2, 3, 4)) / (1 - level).clamp(min=_LEAST_NOISE).square()
