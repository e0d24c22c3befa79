"""Draws that belong to an image, not to its batch."""

import pytest
import torch

from cs329t_robust.runtime.randomness import ImageRandom, normal_like, uniform_like


def images(n=5, shape=(1, 20, 20), dtype=torch.float32):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def test_draws_do_not_depend_on_the_batch():
    x = images()
    whole, some = ImageRandom(3, x), ImageRandom(3, x[[4, 1]])
    for _ in range(3):
        assert torch.equal(whole.uniform(x)[[4, 1]], some.uniform(x[[4, 1]]))
    assert torch.equal(whole.select(torch.tensor([2])).uniform(x[2:3]), whole.uniform(x)[2:3])


def test_seeds_images_and_draws_differ():
    x = images()
    stream = ImageRandom(0, x)
    first, second, other = stream.uniform(x), stream.uniform(x), ImageRandom(1, x).uniform(x)
    for one, two in [(first, second), (first, other), (first[0], first[1])]:
        assert abs(torch.corrcoef(torch.stack([one.flatten(), two.flatten()]))[0, 1]) < 0.2
        assert (one != two).float().mean() > 0.99


def test_one_changed_pixel_changes_every_draw():
    x = images(1)
    near = x.clone()
    near[0, 0, 0, 0] += 1e-3
    assert (ImageRandom(0, x).uniform(x) != ImageRandom(0, near).uniform(x)).float().mean() > 0.99


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_uniform_and_normal_moments(dtype):
    x = images(50, dtype=dtype)
    u, z = uniform_like(x, ImageRandom(0, x)), normal_like(x, ImageRandom(0, x))
    assert u.dtype == z.dtype == dtype
    u, z = u.double(), z.double()
    assert u.min() >= 0
    assert u.max() <= 1
    assert abs(u.mean() - 0.5) < 0.01
    assert abs(u.var() - 1 / 12) < 0.002
    assert z.isfinite().all()
    assert abs(z.mean()) < 0.02
    assert abs(z.std() - 1) < 0.02
    # and flat: no tenth of the range holds more than its share
    assert torch.histc(u, 10, 0, 1).div(u.numel()).sub(0.1).abs().max() < 0.01


def test_float32_and_float64_draw_the_same():
    x = images()
    double = ImageRandom(0, x.double()).uniform(x.double())
    torch.testing.assert_close(ImageRandom(0, x).uniform(x).double(), double, rtol=0, atol=0)


def test_any_seed_and_the_generator_are_accepted():
    x = images()
    ImageRandom(2**64 + 5, x)
    first = uniform_like(x, torch.Generator().manual_seed(1))
    assert torch.equal(first, uniform_like(x, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, uniform_like(x, torch.Generator().manual_seed(2)))


def test_the_global_random_state_is_neither_read_nor_moved():
    x = images()
    before = torch.random.get_rng_state()
    normal_like(x, ImageRandom(0, x))
    assert torch.equal(before, torch.random.get_rng_state())
