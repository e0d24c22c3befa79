"""Where and how the workbook computes: device and threads, progress, random numbers, data/ and the extras."""

from .. import lazily

__getattr__, __dir__, __all__ = lazily(
    __name__,
    {
        "DataError": "data_folder",
        "ImageRandom": "randomness",
        "MissingExtra": "extras",
        "bar": "progress_bar",
        "check_writable": "device_and_threads",
        "describe": "device_and_threads",
        "device": "device_and_threads",
        "keep_memory": "device_and_threads",
        "needed_by": "extras",
        "normal_like": "randomness",
        "rows": "progress_bar",
        "section": "progress_bar",
        "set_threads": "device_and_threads",
        "shipped": "data_folder",
        "tick": "progress_bar",
        "uniform_like": "randomness",
        "usable": "device_and_threads",
    },
)
