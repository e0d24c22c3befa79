"""Everything that moves: sliders, explorers, games and live pictures, which work in a page without a kernel."""

from .. import lazily
from ..runtime.extras import needed_by

with needed_by("cs329t_robust.widgets"):
    import anywidget  # noqa: F401 - it brings IPython and ipywidgets, which the rooms' files import when they show

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "CurveExplorer": "curve_explorer",
        "EpsilonExplorer": "epsilon_explorer",
        "LiveTraining": "live_training",
        "PatchExplorer": "patch_explorer",
        "SeeingGame": "seeing_game",
        "TradeoffExplorer": "tradeoff_explorer",
        "digits_game": "seeing_game_presets",
        "photographs_game": "seeing_game_presets",
    },
)
