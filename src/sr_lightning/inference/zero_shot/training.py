"""Training on one picture, and what the network then makes of it."""

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sr_lightning.degradations.kernels import Kernel
from sr_lightning.errors import DataError
from sr_lightning.functional import dihedral, imresize, undo_dihedral
from sr_lightning.functional.gradients import any_gradient
from sr_lightning.inference.engines.half_precision import half_precision
from sr_lightning.inference.tiles.tiling import upscale_tiles
from sr_lightning.inference.zero_shot.fathers import Source
from sr_lightning.inference.zero_shot.reduction import Reduction, given_kernel
from sr_lightning.inference.zero_shot.settings import Settings, Step

SMALLEST = 16  # pixels: less of a picture teaches nothing
TILE = 512  # of the enlarged picture
ATTEMPTS = 3  # at a network that learns


@dataclass
class Given:
    """What is known of a picture beside itself."""

    kernels: list[Kernel] = field(default_factory=list)  # none, one for all factors, or one for each
    truth: Tensor | None = None  # (C, h, w)


@dataclass
class ZeroShot:
    """A network that is trained on one picture.

    Args:
        settings: How.
        net: Enlarged pictures ``(N, C, H, W)`` to better ones; its weights are the beginning and stay as they are.
        device: Where.
        redraw: Makes another network of a number, where the activations of one have died.
        history: A row for every test of the picture, filled by ``enlarge``.
    """

    settings: Settings
    net: nn.Module
    device: torch.device
    redraw: Callable[[int], nn.Module] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def enlarge(
        self,
        picture: Tensor,
        size: tuple[int, int],
        given: Given,
        on_progress: Callable[[float], None] | None = None,
    ) -> Tensor:
        """``(C, H, W)`` in [0, 1] to ``(C, *size)`` in [0, 1].

        Raises:
            DataError: If it is too small, or there is a truth of another size.
        """
        height, width = picture.shape[-2:]
        if min(height, width) < SMALLEST:
            raise DataError(f"{width}x{height} pixels are too few to learn from; {SMALLEST} on each side are needed")
        if given.truth is not None and given.truth.shape[-2:] != size:
            rows, columns = given.truth.shape[-2:]
            raise DataError(f"the truth has {columns}x{rows} pixels and the result {size[1]}x{size[0]}")
        lr = picture.to(self.device, torch.float32)
        steps = self.settings.steps(max(size[0] / height, size[1] / width))
        # The last step has exactly the wanted size; its factor is exact along the longer side.
        draw = np.random.default_rng(self.settings.seed)
        noise = torch.Generator(self.device).manual_seed(self.settings.seed)
        base, sources, net = (1.0, 1.0), [Source(lr, (1.0, 1.0))], self._fresh()
        with _repeatable():
            for number, step in enumerate(steps):
                factors = (step.factors[0] / base[0], step.factors[1] / base[1])
                kernel = given.kernels[number if len(given.kernels) > 1 else 0] if given.kernels else None
                held = None if kernel is None else given_kernel(kernel, factors, (lr.shape[-2], lr.shape[-1]))
                last = number == len(steps) - 1
                whole = math.ceil if self.settings.official else round
                rows, columns = whole(height * step.factors[0]), whole(width * step.factors[1])
                target = size if last else (rows, columns)
                net = self._fresh() if self.settings.init_net_for_each_factor else net
                task = Task(
                    number, step, Reduction(factors, held, self.settings.official), lr, target, draw, noise, given.truth
                )
                net = self._trained(net, task, sources, _part(on_progress, number, len(steps)))
                sr = self._final(net, task)
                sources.append(Source(sr, factors))
                if step.becomes_input:
                    base, lr, sources = step.factors, sr, [Source(sr, (1.0, 1.0))]
        return sr

    def _fresh(self, net: nn.Module | None = None) -> nn.Module:
        net = copy.deepcopy(net or self.net).to(self.device).train()
        return net.to(memory_format=torch.channels_last)  # type: ignore[no-any-return, call-overload]

    def _trained(
        self, net: nn.Module, task: "Task", sources: list[Source], on_progress: Callable[[float], None]
    ) -> nn.Module:
        """The network when it has learnt; another one where its activations died, as happens to some draws."""
        done = len(self.history)
        for attempt in range(1, ATTEMPTS + 1):
            if self._train(net, task, sources, on_progress):
                return net
            again = attempt < ATTEMPTS and self.redraw is not None
            what = f"begun again with another draw ({attempt + 1} of {ATTEMPTS})" if again else "nothing was learnt"
            iteration = self.history[-1]["iteration"]
            warnings.warn(f"zero-shot training: dead after {iteration} iterations, {what}", stacklevel=2)
            if self.redraw is None or not again:
                break
            del self.history[done:]
            net = self._fresh(self.redraw(attempt))
        return net

    def _train(self, net: nn.Module, task: "Task", sources: list[Source], on_progress: Callable[[float], None]) -> bool:
        """Whether it learnt, and was not found dead by two tests in a row."""
        settings, rate, changed = self.settings, self.settings.learning_rate, 0
        optimizer = torch.optim.Adam(net.parameters(), lr=rate)
        tests: list[tuple[int, float]] = []
        dead = 0
        for iteration in range(1, settings.max_iterations + 1):
            with torch.no_grad():
                father = settings.fathers.draw(sources, task.reduction.factors, task.draw)
                small = task.reduction.up(self._son(father, task), (father.shape[-2], father.shape[-1]))
            with self._autocast():
                sr = net(small[None].contiguous(memory_format=torch.channels_last))
            loss = (sr.float() - father).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            if settings.official:  # TensorFlow adds epsilon before it corrects the second moment
                optimizer.param_groups[0]["eps"] = 1e-8 / (1 - 0.999**iteration) ** 0.5
            optimizer.step()
            if (iteration - settings.official) % settings.test_every == 0:
                tests.append((iteration, self._test(net, task, iteration, rate, float(loss.detach()))))
                same = len(tests) > 1 and tests[-1][1] == tests[-2][1]
                stands = tests[-1][1] > 0 and (same or not any_gradient(net.parameters()))
                dead = dead + 1 if stands else 0
                if dead == 2:
                    return False
            lower = settings.policy.lowered(rate, iteration, changed, tests)
            if lower != rate:
                rate, changed = lower, iteration
                for group in optimizer.param_groups:
                    group["lr"] = rate
            if iteration % 10 == 0:
                on_progress(iteration / settings.max_iterations)
            if rate < settings.policy.stop:
                break
        on_progress(1.0)
        return True

    def _son(self, father: Tensor, task: "Task") -> Tensor:
        son = task.reduction.down(father)
        if self.settings.noise_std:
            noise = torch.randn(son.shape, generator=task.noise, device=son.device)
            son = son + self.settings.noise_std * noise
        return son.clamp(0, 1)

    @torch.no_grad()
    def _test(self, net: nn.Module, task: "Task", iteration: int, rate: float, loss: float) -> float:
        """The mean squared error of the picture, reconstructed from its own reduction."""
        part = _middle(task.lr, self.settings.test_size)
        size = part.shape[-2], part.shape[-1]
        small = task.reduction.up(self._son(part, task), size)
        with self._autocast():
            sr = net(small[None].contiguous(memory_format=torch.channels_last))[0].float().clamp(0, 1)
        error = float((sr - part).square().mean())
        row = {
            "step": task.number,
            "iteration": iteration,
            "learning_rate": rate,
            "loss": loss,
            "reconstruction_mse": error,
            "bicubic_mse": float((small - part).square().mean()),
        }
        if task.truth is not None and max(task.lr.shape[-2:]) <= (self.settings.test_size or math.inf):
            truth = imresize(task.truth.to(self.device), size=task.size)
            enlarged = task.reduction.up(task.lr, task.size)
            row["true_mse"] = float((self._apply(net, enlarged) - truth).square().mean())
            row["bicubic_true_mse"] = float((enlarged - truth).square().mean())
        self.history.append(row)
        return error

    @torch.no_grad()
    def _final(self, net: nn.Module, task: "Task") -> Tensor:
        """The median over flips and turns, each corrected by back-projection, and the median, too."""
        square = task.reduction.factors[0] == task.reduction.factors[1]
        ops = range((8 if square else 4) if self.settings.output_flip else 1)
        pictures = []
        for op in ops:
            # Turned behind the enlargement: where the factor does not divide the size, its grid begins at one edge.
            enlarged = dihedral(task.reduction.up(task.lr, task.size), op)
            if self.settings.official:
                enlarged = task.reduction.up(dihedral(task.lr, op), (enlarged.shape[-2], enlarged.shape[-1]))
            sr = undo_dihedral(self._apply(net, enlarged), op)
            pictures.append(task.reduction.back_project(sr, task.lr, task.step.back_projections))
        return task.reduction.back_project(_median(pictures), task.lr, task.step.back_projections)

    def _apply(self, net: nn.Module, enlarged: Tensor) -> Tensor:
        out = torch.empty_like(enlarged)
        halo = sum(layer.kernel_size[0] // 2 for layer in net.modules() if isinstance(layer, nn.Conv2d))
        for box, part in upscale_tiles(net, (enlarged,), 1, halo=halo, tile=TILE, device=self.device):
            out[:, box.top : box.bottom, box.left : box.right] = part.to(out.device)
        return out.clamp(0, 1)

    def _autocast(self) -> AbstractContextManager[object]:
        half = half_precision(self.settings.precision, self.device)
        return torch.autocast(self.device.type, half) if half else nullcontext()


@dataclass(frozen=True)
class Task:
    """One factor, and all that it is trained with."""

    number: int
    step: Step
    reduction: Reduction
    lr: Tensor
    size: tuple[int, int]
    draw: np.random.Generator
    noise: torch.Generator
    truth: Tensor | None


def _middle(picture: Tensor, longest: int | None) -> Tensor:
    for dim in (-2, -1):
        length = picture.shape[dim]
        if longest is not None and length > longest:
            picture = picture.narrow(dim, (length - longest) // 2, longest)
    return picture


def _median(pictures: list[Tensor]) -> Tensor:
    """The mean of the two in the middle, where their number is even."""
    median = torch.empty_like(pictures[0])
    for top in range(0, median.shape[-2], TILE):  # sorting takes three times the memory of what it sorts
        ordered = torch.stack([picture[:, top : top + TILE] for picture in pictures]).sort(dim=0).values
        median[:, top : top + TILE] = (ordered[(len(pictures) - 1) // 2] + ordered[len(pictures) // 2]) / 2
    return median


def _part(on_progress: Callable[[float], None] | None, number: int, count: int) -> Callable[[float], None]:
    return (lambda done: on_progress((number + done) / count)) if on_progress else (lambda done: None)


@contextmanager
def _repeatable() -> Iterator[None]:
    """Algorithms of cuDNN that give the same bits every time."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield
