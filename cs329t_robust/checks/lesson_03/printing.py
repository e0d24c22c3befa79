"""Exercise 03.4: print a picture with a few colours."""

import torch
from torch import Tensor

from ..exercise import Exercise, Mistake, Probe, Run
from ..message_wording import part
from ..shared_probes import alone, generator, images, matches

SHAPES = ((5, 1, 4, 6), (2, 3, 5, 4))


def _far(x: Tensor, palette: Tensor) -> Tensor:
    """Return the squared distance of every pixel to every colour, (n, m, h, w)."""
    return (x[:, None] - palette[None, :, :, None, None]).square().sum(2)


def _coloured(index: Tensor, palette: Tensor) -> Tensor:
    return palette[index].permute(0, 3, 1, 2)


def _printed(x: Tensor, palette: Tensor) -> Tensor:
    return _coloured(_far(x, palette).argmin(1), palette)


def _cases(seed: int) -> list[tuple]:
    colours = torch.tensor([[0.05, 0.1, 0.08], [0.95, 0.9, 0.97], [0.8, 0.15, 0.1], [0.1, 0.3, 0.75], [0.9, 0.8, 0.2]])
    grey = torch.tensor([[0.05], [0.35], [0.95]])
    grey = grey[torch.randperm(3, generator=generator(seed))]
    return [(images(seed, SHAPES[0]), grey), (images(seed + 1, SHAPES[1]), colours)]


def _only_palette(run: Run) -> str:
    for (_, palette), answer, _ in run:
        foreign = _far(answer, palette).amin(1) > 1e-6
        if foreign.any():
            return f"{part(int(foreign.sum()), foreign.numel(), 'pixel', 'have')} a colour that is not in the palette"
    return ""


def _nearest(run: Run) -> str:
    for (x, palette), answer, expected in run:
        got, best = ((x - z).square().sum(1) for z in (answer, expected))
        worse = got > best + 1e-5
        if worse.any():
            return f"{part(int(worse.sum()), worse.numel(), 'pixel')} got another colour than the nearest of {len(palette)}"
    return ""


PRINTED = Exercise(
    "03.4",
    "printed",
    _printed,
    _cases,
    [
        Probe("gives every pixel the nearest colour", 2, _nearest, essential=True),
        Probe("uses the palette's colours alone", 1, _only_palette, essential=True),
        Probe("is right everywhere", 1, matches("pixel value")),
        Probe("treats each picture on its own", 1, alone(lambda a, i: (a[0][i : i + 1], a[1]))),
    ],
    [
        Mistake(
            "farthest colour",
            lambda x, p: _coloured(_far(x, p).argmax(1), p),
            "You took the farthest colour (argmax); printing takes the nearest (argmin).",
        ),
        Mistake(
            "each channel on its own",
            lambda x, p: torch.stack(
                [p[(x[:, c, None] - p[None, :, c, None, None]).abs().argmin(1), c] for c in range(x.shape[1])], 1
            ),
            "Red, green and blue each get the nearest value on their own, which mixes colours the printer does not have. "
            "The distance is of the whole pixel: sum the squares over the channels.",
        ),
        Mistake(
            "absolute differences",
            lambda x, p: _coloured((x[:, None] - p[None, :, :, None, None]).abs().sum(2).argmin(1), p),
            "You measured the distance by absolute differences; the exercise asks for the Euclidean one (squares).",
        ),
        Mistake(
            "signed differences",
            lambda x, p: _coloured((x[:, None] - p[None, :, :, None, None]).sum(2).argmin(1), p),
            "The differences are not squared, so the smallest is the most negative one: always the brightest colour.",
        ),
        Mistake(
            "one colour for each picture",
            lambda x, p: _coloured(_far(x, p).mean((2, 3), keepdim=True).argmin(1), p).expand_as(x),
            "Every pixel of a picture gets the same colour: the distances are averaged over the picture before choosing.",
        ),
        Mistake(
            "black and white",
            lambda x, p: x.round(),
            "You rounded to 0 and 1; the palette holds other colours.",
        ),
        Mistake(
            "by brightness",
            lambda x, p: _coloured((x.mean(1)[:, None] - p.mean(1).view(1, -1, 1, 1)).abs().argmin(1), p),
            "You compared brightness, the mean of the channels; the distance is between colours, channel by channel.",
        ),
        Mistake(
            "index returned",
            lambda x, p: _far(x, p).argmin(1, keepdim=True).expand_as(x),
            "You returned the number of the colour; look the colour up in the palette: palette[index].",
        ),
        Mistake(
            "channels last",
            lambda x, p: p[_far(x, p).argmin(1)],
            "palette[index] has the channels last, (n, h, w, c); images have them second: .permute(0, 3, 1, 2).",
        ),
        Mistake(
            "reshaped",
            lambda x, p: p[_far(x, p).argmin(1)].reshape(x.shape),
            "palette[index] has the channels last, (n, h, w, c). reshape or view only renames the axes and scrambles the pixels: "
            "use .permute(0, 3, 1, 2).",
        ),
    ],
    "Distances first, (n, m, h, w): the squares of x[:, None] − palette[None, :, :, None, None], summed over channels. Then argmin "
    "over the m colours, palette[index], and permute.",
    like=0,
)
