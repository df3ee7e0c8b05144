"""Fits of many images against one reference, in several processes: iterators that give the results in the order of the images."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from numbers import Integral
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ezarchive import pool
from ezarchive.compare import skin
from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.starfit import check_star
from ezarchive.errors import EzarchiveError, InputError, MeasurementError, WorkerError

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_TAKES_A_SCREEN = ("display", "fig")


class _Task(NamedTuple):
    place: int
    function: str
    hst: str
    muse: str
    kwargs: dict[str, Any]


class _Fits(Iterator[Any]):
    """What the three have in common.

    An image that cannot be fitted raises its error where its result would have come; the next ones can still be asked for.
    """

    _function: Callable[..., Any]

    def __init__(self, hst_filename: Any, muse_filenames: Iterable[Any], kwargs: Mapping[str, Any] = _NOTHING, nworker: int = 0) -> None:
        names = [muse_filenames] if isinstance(muse_filenames, (str, os.PathLike)) else list(muse_filenames)
        kwargs = _checked(self._function, kwargs)
        tasks = [_Task(i, self._function.__name__, _path("hst_filename", hst_filename), _path("muse_filenames", name), kwargs)
                 for i, name in enumerate(names)]  # fmt: skip
        self.nworker = _workers(nworker, len(tasks))
        if any(kwargs.get(name) for name in _TAKES_A_SCREEN):
            self.nworker = 1
        self._count, self._next, self._waiting = len(tasks), 0, {}
        self._results = pool.run(_fitted, tasks, self.nworker) if tasks else iter(())

    def __enter__(self) -> _Fits:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> _Fits:
        return self

    def __len__(self) -> int:
        """Return how many results are still to come."""
        return self._count - self._next

    def __next__(self) -> Any:
        if self._next >= self._count:
            self.close()
            raise StopIteration
        while self._next not in self._waiting:
            task, found = next(self._results)
            self._waiting[task.place] = _lost(task, found)
        found = self._waiting.pop(self._next)
        self._next += 1
        if isinstance(found, Exception):
            raise found
        return found

    def next(self) -> Any:
        """Return the next result, as `next` does."""
        return self.__next__()

    def close(self) -> None:
        """End the processes, whatever they are at; no more results come."""
        self._count = self._next
        if hasattr(self._results, "close"):
            self._results.close()


class FitImagePhotometryMP(_Fits):
    """`fit_image_photometry` of many images.

    Parameters
    ----------
    hst_filename : path
        The reference image; each process reads it once.
    muse_filenames : iterable of path
        The images.
    kwargs : mapping
        Other arguments of the fit.
    nworker : int
        How many processes, at most one an image; 0 and less: as many as there are cores, and so many more (-1: one less).

    Yields
    ------
    FittedImagePhotometry
        In the order of the images.

    Raises
    ------
    InputError
        At once if an argument is wrong. When its turn has come, an image that cannot be read or fitted raises what the fit raised
        (InputError, CompareError, FrameError), and `WorkerError` for anything else: its ``traceback`` tells where.

    Notes
    -----
    A context manager: when it is left, by Ctrl-C too, the processes end. The images that a process which died (out of memory, killed)
    was at are done again, each alone; one that kills its process again raises a `WorkerError`. Scripts need no
    ``if __name__ == "__main__"``.

    Examples
    --------
    >>> with FitImagePhotometryMP("hst.fits", [], {"fix_beta": 2.5}) as fits:
    ...     print("".join(fit.summary(header=False) for fit in fits))
    <BLANKLINE>
    """

    _function = staticmethod(skin.fit_image_photometry)


class FitStarPhotometryMP(_Fits):
    """`fit_star_photometry` of many images; parameters and errors as of `FitImagePhotometryMP`, `kwargs` with ``star``."""

    _function = staticmethod(skin.fit_star_photometry)

    def __init__(self, hst_filename: Any, muse_filenames: Iterable[Any], kwargs: Mapping[str, Any], nworker: int = 0) -> None:
        super().__init__(hst_filename, muse_filenames, kwargs, nworker)


class FitImageAndStarPhotometryMP(_Fits):
    """`fit_image_and_star_photometry` of many images, pairs of results; otherwise as `FitStarPhotometryMP`."""

    _function = staticmethod(skin.fit_image_and_star_photometry)

    def __init__(self, hst_filename: Any, muse_filenames: Iterable[Any], kwargs: Mapping[str, Any], nworker: int = 0) -> None:
        super().__init__(hst_filename, muse_filenames, kwargs, nworker)


def _checked(function: Callable[..., Any], kwargs: Any) -> dict[str, Any]:
    if not isinstance(kwargs, Mapping):
        raise InputError(f"kwargs: must be a mapping of arguments of {function.__name__}, found {type(kwargs).__name__}")
    taken = inspect.signature(function).parameters
    unknown = sorted(set(kwargs) - set(taken) | set(kwargs) & {"hst", "muse"})
    if unknown:
        raise InputError(
            f"kwargs: {', '.join(map(repr, unknown))} must not be given; {function.__name__} takes {', '.join(list(taken)[2:])}"
        )
    found = dict(kwargs)
    if taken.get("star") is not None and (taken["star"].default is inspect.Parameter.empty or found.get("star") is not None):
        found["star"] = check_star(found.get("star"))
    return found


def _path(argument: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise InputError(f"{argument}: must be paths of files, found {type(value).__name__}")
    return str(Path(value).absolute())


def _workers(asked: Any, images: int) -> int:
    if isinstance(asked, bool) or not isinstance(asked, Integral):
        raise InputError(f"nworker={asked!r}: must be a whole number of processes")
    cores = pool.worker_count(None)
    return max(1, min(int(asked) if asked > 0 else max(cores + int(asked), 1), images))


def _lost(task: _Task, found: Any) -> Any:
    """Return what the caller shall see: the loss of a process is no measurement's error, and what comes from outside is named."""
    if isinstance(found, MeasurementError) and found.code == pool.WORKER_DIED:
        return WorkerError(f"{task.muse}: {found}")
    if isinstance(found, Exception) and not isinstance(found, EzarchiveError):
        return WorkerError(f"{task.muse}: {type(found).__name__}: {found}", "".join(traceback.format_exception(found)))
    return found


def _fitted(task: _Task) -> Any:
    """Fit one image, in a worker."""
    try:
        return getattr(skin, task.function)(_reference(task.hst, _version(task.hst)), task.muse, **task.kwargs)
    except EzarchiveError:
        raise
    except Exception as err:  # noqa: BLE001  the traceback would be lost between the processes
        raise WorkerError(f"{task.muse}: {type(err).__name__}: {err}", traceback.format_exc()) from err


def _version(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116  one call
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _reference(path: str, version: tuple[int, int]) -> FluxImage:
    return flux_image(path, "hst")
