"""Random numbers that belong to an image: the same seed gives the same draw in any batch, order, or device.

`torch.rand` draws for a whole batch, so that an image's random start would depend on its neighbours. Here each
value is a hash of (seed, the image's own pixels, draw, position), the counter-based way of making random numbers.

References
----------
Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (counter-based generators);
Steele, Lea & Flood 2014, SplitMix64 (the mixing function).
"""

import torch
from torch import Tensor


def _signed(value: int) -> int:
    """Read a 64-bit pattern as torch's signed int64 does."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_MIX1 = _signed(0xBF58476D1CE4E5B9)
_MIX2 = _signed(0x94D049BB133111EB)


def _mix(z: Tensor) -> Tensor:
    """SplitMix64's finaliser on int64 (products wrap; right shifts are made logical by a mask)."""
    for shift, factor in ((30, _MIX1), (27, _MIX2)):
        z = _fold(z, shift).mul_(factor)
    return _fold(z, 31)


def _fold(z: Tensor, shift: int) -> Tensor:
    return (z >> shift).bitwise_and_((1 << 64 - shift) - 1).bitwise_xor_(z)


def _between(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """Return values strictly between 0 and 1 (23 bits)."""
    return (bits >> 41).bitwise_and_(0x7FFFFF).to(dtype).add_(0.5).div_(1 << 23)


class ImageRandom:
    """A stream of random draws for each image of a batch.

    Parameters
    ----------
    seed : int
    x : Tensor (n, c, h, w), float
        The images; equal images get equal draws.
    """

    def __init__(self, seed: int, x: Tensor) -> None:
        bits = x.detach().float().contiguous().view(torch.int32).long().flatten(1)
        place = torch.arange(1, bits.shape[1] + 1, device=x.device)
        start = torch.tensor(_signed(int(seed) % (1 << 64)), device=x.device)
        self.keys = _mix(_mix(bits + place * _GOLDEN).sum(1) + _mix(start))
        self.place = place
        self.draws = 0

    def uniform(self, x: Tensor) -> Tensor:
        """Draw values strictly between 0 and 1 (23 bits), shaped and typed like `x`; a new draw at each call."""
        bits = self._draw(self.place)
        wide = torch.promote_types(x.dtype, torch.float32)  # float16 cannot hold the bits
        return _between(bits, wide).to(x.dtype).view(x.shape)

    def numbers(self, count: int) -> Tensor:
        """Draw `count` values strictly between 0 and 1 for each image, (n, count) in float32; a new draw at each call.

        For places and signs: far cheaper than a value for every pixel.
        """
        return _between(self._draw(torch.arange(1, count + 1, device=self.keys.device)), torch.float32)

    def _draw(self, place: Tensor) -> Tensor:
        """Return the next draw's bits at each place, (n, len(place))."""
        self.draws += 1
        streams = _mix(self.keys + _signed(self.draws * 0x9E3779B97F4A7C15 % (1 << 64)))
        return _mix(streams[:, None] + place * _GOLDEN)

    def select(self, rows: Tensor) -> "ImageRandom":
        """Return the stream of some of the images, at the same draw."""
        part = object.__new__(ImageRandom)
        part.keys, part.place, part.draws = self.keys[rows], self.place, self.draws
        return part


def uniform_like(x: Tensor, generator: "torch.Generator | ImageRandom") -> Tensor:
    """Draw uniform values in [0, 1) shaped, typed and placed like `x`.

    Parameters
    ----------
    x : Tensor (n, …)
    generator : torch.Generator or ImageRandom
        What to draw from; the global state is never touched.

    Returns
    -------
    Tensor (n, …)
    """
    if isinstance(generator, ImageRandom):
        return generator.uniform(x)
    return torch.rand(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)


def normal_like(x: Tensor, generator: "torch.Generator | ImageRandom") -> Tensor:
    """Draw standard normal values shaped, typed and placed like `x`.

    Parameters
    ----------
    x : Tensor (n, …)
    generator : torch.Generator or ImageRandom
        What to draw from; the global state is never touched.

    Returns
    -------
    Tensor (n, …)
    """
    if isinstance(generator, ImageRandom):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # uniforms in bfloat16 would round to 0 and 1
        return torch.special.ndtri(generator.uniform(wide)).to(x.dtype)
    return torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)
