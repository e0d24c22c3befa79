"""Everything that moves: sliders, explorers, games and live pictures, which work in a page without a kernel."""

from .. import lazily

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
