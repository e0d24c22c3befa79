"""Bad inputs: a ValueError that says what was expected and what came, and nothing touched."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from cs329t_robust import L2, Linf, accuracy, apgd, fgsm, pgd, robust_accuracy
from cs329t_robust.evaluation.accuracy import predict
from cs329t_robust.models import networks


def measured(model, x, y, *, threat, attack=None):
    return robust_accuracy(model, x, y, attack or partial(pgd, steps=2), threat)


def with_threat(measure):
    return lambda model, x, y, *, threat: measure(model, x, y)


ENTRIES = {
    "fgsm": fgsm,
    "pgd": partial(pgd, steps=2),
    "apgd": partial(apgd, steps=2),
    "robust_accuracy": measured,
}
CLEAN = {"accuracy": with_threat(accuracy), "predict": with_threat(lambda model, x, y: predict(model, x))}
each = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
N, K = 4, 3


def good(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    model = networks.LinearModel(torch.randn(K, 12, generator=generator, dtype=dtype)).train()
    x = torch.rand(N, 1, 3, 4, generator=generator, dtype=dtype)
    return {"model": model, "x": x, "y": model(x).argmax(1), "threat": Linf(0.1)}


def changed(x, value):
    x = x.clone()
    x[1, 0, 0, 0] = value
    return x


NAN = float("nan")
IMAGES = {
    "above one": (lambda x: changed(x, 1.5), r"pixel values in \[0, 1\], got \[.*1\.5\] \(shape \(4, 1, 3, 4\)\)"),
    "just above": (lambda x: changed(x, 1 + 1e-6), r"expected pixel values in \[0, 1\]"),
    "below zero": (lambda x: changed(x, -0.5), r"got \[-0\.5, .*normalis"),
    "of 255": (lambda x: x * 255, "divide by 255"),
    "NaN": (lambda x: changed(x, NAN), "without NaN, got 1 NaN"),
    "infinite": (lambda x: changed(x, float("inf")), "inf"),
    "rank 3": (lambda x: x[0], r"shape \(n, c, h, w\), got shape \(1, 3, 4\); .*x\[None\]"),
    "rank 2": (lambda x: x.flatten(1), r"got shape \(4, 12\)"),
    "rank 5": (lambda x: x[None], r"got shape \(1, 4, 1, 3, 4\)"),
    "uint8": (lambda x: (x * 255).byte(), r"got torch.uint8; use x.float\(\) / 255"),
    "int64": (lambda x: x.long(), "got torch.int64"),
    "bool": (lambda x: x > 0.5, "got torch.bool"),
    "complex": (lambda x: x + 0j, "got torch.complex64"),
    "empty": (lambda x: x[:0], r"at least one image, got an empty batch of shape \(0, 1, 3, 4\)"),
    "no pixels": (lambda x: x[:, :, :0], r"shape \(4, 1, 0, 4\)"),
    "another size": (lambda x: torch.rand(4, 1, 4, 4), r"size that the model takes, got shape \(4, 1, 4, 4\); resize"),
    "list": (lambda x: x.tolist(), "expected a tensor of images .* got list"),
    "NumPy": (lambda x: x.numpy(), "got ndarray; use torch.as_tensor"),
    "None": (lambda x: None, "got NoneType"),
    "meta": (lambda x: x.to("meta"), "got a tensor on the device 'meta'"),
    "float64": (lambda x: x.double(), "one device and dtype, got a model in torch.float32 .* images in torch.float64"),
}
LABELS = {
    "too large": (lambda y: y + K, r"labels below the model's 3 classes, got \d"),
    "one too large": (lambda y: torch.full_like(y, K), "labels below the model's 3 classes, got 3"),
    "negative": (lambda y: y - 5, "labels >= 0, got -"),
    "too few": (lambda y: y[:-1], r"one label for each .*4.*, got \(3,\)"),
    "too many": (lambda y: torch.cat([y, y]), r"got \(8,\)"),
    "none": (lambda y: y[:0], r"got \(0,\)"),
    "a scalar": (lambda y: y[0], r"got \(\)"),
    "float": (lambda y: y.float(), r"integer labels, got torch.float32; use y.long\(\)"),
    "bool": (lambda y: y > 0, "got torch.bool"),
    "one-hot": (lambda y: torch.nn.functional.one_hot(y, K), r"got \(4, 3\)"),
    "one-hot floats": (lambda y: torch.nn.functional.one_hot(y, K).float(), "integer labels.*one-hot"),
    "a column": (lambda y: y[:, None], r"got \(4, 1\)"),
    "list": (lambda y: y.tolist(), "integer labels .* got list"),
    "NumPy": (lambda y: y.numpy(), "got ndarray"),
    "meta": (lambda y: y.to("meta"), "got x on cpu and y on meta"),
}


def answering(change):
    return lambda model: lambda x: change(model(x))


BOOM = lambda z: z.masked_fill(torch.ones_like(z, dtype=torch.bool), NAN)  # noqa: E731
MODELS = {
    "not callable": (lambda model: "model", "expected a function or module .* got str"),
    "None": (lambda model: None, "got NoneType"),
    "float64": (lambda model: good(torch.float64)["model"], "a model in torch.float64 .* images in torch.float32"),
    "meta": (lambda model: model.to("meta"), "on meta and images in torch.float32 on cpu"),
    "flat logits": (answering(lambda z: z.flatten()), r"logits of shape \(4, k\) .* got shape \(12,\)"),
    "transposed": (answering(lambda z: z.T), r"got shape \(3, 4\)"),
    "maps": (answering(lambda z: z[:, :, None, None]), r"got shape \(4, 3, 1, 1\)"),
    "one class": (answering(lambda z: z[:, :1]), r"k >= 2 classes .* got shape \(4, 1\)"),
    "labels": (answering(lambda z: z.argmax(1)), r"got shape \(4,\)"),
    "a tuple": (answering(lambda z: (z, z)), "got tuple"),
    "a dict": (answering(lambda z: {"logits": z}), "got dict"),
    "NumPy": (answering(lambda z: z.detach().numpy()), "got ndarray"),
    "None back": (answering(lambda z: None), "got NoneType"),
    "NaN": (answering(BOOM), "finite logits, got 12 NaN"),
    "one NaN": (answering(lambda z: torch.cat([z[:1] * NAN, z[1:]])), "finite logits, got 3 NaN"),
    "logits elsewhere": (answering(lambda z: z.to("meta")), "logits on the images' device cpu, got meta"),
}


class View(nn.Module):
    """The usual line before the first linear layer."""

    def forward(self, x):
        return x.view(-1, 81)


def refused(entry, message, untouched=None, **bad):
    inputs = good()
    given = {name: bad[name](inputs[name]) if name in bad else inputs[name] for name in inputs}
    model, x, y = inputs["model"], inputs["x"].clone(), inputs["y"].clone()
    modes = [module.training for module in model.modules()]
    with pytest.raises(ValueError, match=message):
        entry(given["model"], given["x"], given["y"], threat=given["threat"])
    assert torch.equal(inputs["x"], x)
    assert torch.equal(inputs["y"], y)
    assert modes == [module.training for module in model.modules()]
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("case", IMAGES)
@pytest.mark.parametrize("entry", [*ENTRIES.values(), *CLEAN.values()], ids=[*ENTRIES, *CLEAN])
def test_bad_images(entry, case):
    change, message = IMAGES[case]
    refused(entry, message, x=change)


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize("entry", [*ENTRIES.values(), CLEAN["accuracy"]], ids=[*ENTRIES, "accuracy"])
def test_bad_labels(entry, case):
    change, message = LABELS[case]
    refused(entry, message, y=change)


@pytest.mark.parametrize("case", MODELS)
@pytest.mark.parametrize("entry", [*ENTRIES.values(), *CLEAN.values()], ids=[*ENTRIES, *CLEAN])
def test_bad_models(entry, case):
    change, message = MODELS[case]
    refused(entry, message, model=change)


@pytest.mark.parametrize("entry", [*ENTRIES.values(), *CLEAN.values()], ids=[*ENTRIES, *CLEAN])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [(nn.Conv2d(1, 2, 3), (2, 3, 9, 9)), (nn.Conv2d(1, 2, 7), (2, 1, 4, 4)), (View(), (2, 1, 9, 8))],
    ids=["channels", "smaller than the kernel", "a view"],
)
def test_images_that_no_layer_takes_are_told_with_their_shape(entry, layer, shape):
    model = nn.Sequential(layer, nn.Flatten())
    with pytest.raises(ValueError, match=re.escape(f"got shape {shape}; resize or convert them. PyTorch says: ")):
        entry(model, torch.rand(shape), torch.zeros(2).long(), threat=Linf(0.1))


def test_every_attack_also_refuses_a_model_that_fails_only_under_attack():
    """Measuring asks the model before attacking; the attack alone must notice too, in later steps as well."""
    inputs = good()
    model = inputs["model"]

    def later(x):
        return model(x) * (NAN if bool((x != inputs["x"]).any()) else 1)

    for settings in [{}, {"restarts": 2}, {"random_start": False}, {"drop_adversarial": True}]:
        with pytest.raises(ValueError, match="NaN"):
            pgd(later, inputs["x"], inputs["y"], threat=L2(0.1), steps=3, **settings)
        with pytest.raises(ValueError, match="NaN"):
            pgd(later, inputs["x"], inputs["y"], threat=Linf(0.1), steps=3, **settings)


@each
@pytest.mark.parametrize(
    "change",
    [
        lambda model: lambda x: model(x).detach(),
        lambda model: lambda x: model(x.detach()),
        lambda model: lambda x: (model(x) > 0).float(),
        lambda model: torch.no_grad()(model),
    ],
    ids=["detached logits", "detached images", "rounded", "no_grad"],
)
def test_a_model_without_a_gradient(entry, change):
    refused(entry, "depend on x through autograd, got logits without a gradient", model=change)


class Blunt(torch.autograd.Function):
    """The identity with a NaN gradient, as of sqrt at 0."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * NAN


@each
@pytest.mark.parametrize("kind", [Linf, L2])
def test_a_model_with_a_nan_gradient(entry, kind):
    refused(
        entry, "finite gradients, got NaN or infinity for 4 of 4", model=lambda m: lambda x: m(Blunt.apply(x)),
        threat=lambda _: kind(0.1),
    )  # fmt: skip


@pytest.mark.parametrize("label", range(K))
@pytest.mark.parametrize(
    "settings", [{"restarts": 3}, {"drop_adversarial": True}, {"restarts": 3, "drop_adversarial": True}]
)
def test_restarts_do_not_swallow_a_nan_gradient(label, settings):
    """argmax calls NaN logits class 0: they must count neither as a success nor as a failure, for any label."""
    inputs = good()
    y = torch.full((N,), label)
    sure = 100 * torch.nn.functional.one_hot(y, K)  # every image is right, so none may be skipped
    with pytest.raises(ValueError, match="finite gradients"):
        pgd(
            lambda x: inputs["model"](Blunt.apply(x)) + sure[: len(x)],
            inputs["x"],
            y,
            threat=Linf(0.1),
            steps=3,
            **settings,
        )


@each
@pytest.mark.parametrize(
    ("threat", "message"),
    [
        (0.1, r"a threat such as Linf\(8/255\) or L2\(0.5\), got 0.1"),
        (Linf, "expected a threat"),
        (None, "got None"),
        ("Linf", "got 'Linf'"),
        (Linf(torch.full((3,), 0.1)), "one eps for each of the 4 images, got 3"),
        (Linf(torch.full((1,), 0.1)), "one eps for each of the 4 images, got 1"),
        (L2(torch.full((5,), 0.1)), "got 5"),
        (L2(torch.full((4,), 0.1, device="meta")), "eps on the images' device cpu, got meta"),
        (Linf(torch.tensor(0.1, device="meta")), "got meta"),
    ],
)
def test_bad_threats(entry, threat, message):
    refused(entry, message, threat=lambda _: threat)


@pytest.mark.parametrize("kind", [Linf, L2])
@pytest.mark.parametrize("eps", [-0.1, NAN, float("inf"), torch.tensor([0.1, -0.1, 0.1, 0.1]), torch.ones(2, 2)])
def test_bad_radii_never_reach_an_attack(kind, eps):
    with pytest.raises(ValueError, match=f"{kind.__name__}: expected"):
        kind(eps)


SETTINGS = [
    ({"steps": -1}, "steps: expected a whole number >= 0, got -1"),
    ({"steps": 2.5}, r"steps: .* got 2\.5"),
    ({"steps": 2.0}, r"steps: .* got 2\.0"),
    ({"steps": NAN}, "steps: .* got nan"),
    ({"steps": None}, "steps: .* got None"),
    ({"steps": True}, "steps: .* got True"),
    ({"steps": "10"}, "steps: .* got '10'"),
    ({"step_size": 0}, "step_size: expected a number > 0 .* got 0"),
    ({"step_size": -0.1}, r"step_size: .* got -0\.1"),
    ({"step_size": NAN}, "step_size: .* got nan"),
    ({"step_size": float("inf")}, "step_size: .* got inf"),
    ({"step_size": "big"}, "step_size: .* got 'big'"),
    ({"step_size": True}, "step_size: .* got True"),
    ({"step_size": torch.full((3,), 0.1)}, r"step_size: .* \(4,\) on cpu, got shape \(3,\)"),
    ({"step_size": torch.full((4, 1), 0.1)}, r"step_size: .* got shape \(4, 1\)"),
    ({"step_size": torch.full((4,), 0.1, device="meta")}, "step_size: .* on meta"),
    ({"step_size": torch.tensor([0.1, 0.0, 0.1, 0.1])}, "step_size: expected every step finite and > 0"),
    ({"step_size": torch.tensor([0.1, NAN, 0.1, 0.1])}, "step_size: expected every step finite and > 0"),
    ({"restarts": 0}, "restarts: expected a whole number >= 1, got 0"),
    ({"restarts": 1.5}, r"restarts: .* got 1\.5"),
    ({"restarts": 2, "random_start": False}, "restarts: expected 1 without a random start .* got 2"),
    ({"seed": 1.5}, r"seed: .* got 1\.5"),
    ({"seed": None}, "seed: .* got None"),
]


@pytest.mark.parametrize(("settings", "message"), SETTINGS, ids=[repr(s)[:60] for s, _ in SETTINGS])
@pytest.mark.parametrize("through", ["pgd", "robust_accuracy"])
def test_bad_settings(settings, message, through):
    entry = partial(pgd, **settings)
    refused(entry if through == "pgd" else partial(measured, attack=entry), message)


def test_settings_from_numpy_are_fine():
    inputs = good()
    pgd(**inputs, steps=np.int64(2), step_size=np.float32(0.1), seed=np.int64(3))


@pytest.mark.parametrize("attack", [fgsm, partial(pgd, steps=2)])
def test_a_loss_that_averages_is_refused(attack):
    refused(
        partial(attack, loss=torch.nn.functional.cross_entropy),
        r"loss: expected one value per image, shape \(4,\), got \(\); use reduction='none'",
    )


@pytest.mark.parametrize("batch_size", [0, -1, 2.5])
def test_bad_batch_sizes(batch_size):
    inputs = good()
    with pytest.raises(ValueError, match="batch_size: expected a whole number >= 1"):
        robust_accuracy(**inputs, attack=fgsm, batch_size=batch_size)
    del inputs["threat"]
    with pytest.raises(ValueError, match="batch_size: expected a whole number >= 1"):
        accuracy(**inputs, batch_size=batch_size)


@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize("case", ["a tuple", "flat logits", "NaN", "one class"])
def test_a_bad_model_is_refused_even_without_steps(case, restarts):
    change, message = MODELS[case]
    refused(partial(pgd, steps=0, restarts=restarts), message, model=change)
    refused(partial(pgd, steps=0, restarts=restarts), "labels below", y=lambda y: y + K)
