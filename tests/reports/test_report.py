"""Reports of runs made up by hand, so that every number in them can be checked."""

import base64
import io
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from running import run_here
from sr_lightning import metrics
from sr_lightning.config import compose
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.metrics import mean_scores
from sr_lightning.report import report
from sr_lightning.reports.charts import tradeoffs
from sr_lightning.reports.collect import collect, learning_curve
from sr_lightning.reports.figure import make_figure, most_different_picture, picture_names
from sr_lightning.reports.formats import escape_latex, escape_markdown, to_latex, to_markdown
from sr_lightning.reports.plots import curves, legend, scatter
from sr_lightning.reports.sections import Section, sections_of
from sr_lightning.reports.tables import LOWER, MINUS, paired_table, power_note, score_table

NASTY = "<b>&_%"
VOID = {"meta", "img", "br", "link", "input", "hr"}


def write_run(folder: Path, psnr: dict[str, float | None], *, config: str = "", **content: Any) -> Path:
    """A run folder with one set, ``set5``; SSIM is PSNR / 40."""
    images = {name: {"psnr": p, "ssim": 1.0 if p is None else p / 40} for name, p in psnr.items()}
    result = {
        "protocol": "y_rgb8", "scale": 2, "model": folder.name, "parameters": 1000, "macs_720p": 10**9,
        "protocol_fields": {"name": "y_rgb8", "metrics": ["psnr", "ssim"], "space": "y"}, "seconds": 1.0,
        "sets": {"set5": {"psnr": 0, "ssim": 0, "images": images}},
    } | content  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(result))
    if config:
        (folder / "config.yaml").write_text(config)
    return folder


def write_pictures(folder: Path, shift: int, truth: bool = True, name: str = "a") -> None:
    """A random picture, brighter by ``shift`` in a square of 24 pixels at left 60, top 36."""
    pixels = np.random.default_rng(0).integers(0, 200, (100, 120, 3), dtype=np.uint8)
    sr = pixels.copy()
    sr[36:60, 60:84] += np.uint8(shift)
    (folder / "pictures/set5/hr").mkdir(parents=True)
    Image.fromarray(sr).save(folder / f"pictures/set5/{name}.png")
    if truth:  # one row and column more, which protocols crop
        Image.fromarray(np.pad(pixels, ((0, 1), (0, 1), (0, 0)))).save(folder / f"pictures/set5/hr/{name}.png")


def test_the_curve_of_a_resumed_run_is_one(tmp_path: Path) -> None:
    """Of steps that were done again, the last time counts. What another run left in the folder is none of it."""
    for name, steps in (("1.", (9, 19)), ("2.", (9, 19, 29)), ("3.", (19, 29, 39)), ("", (39, 49))):
        rows = "".join(f"{step},3{name or 4}0\n" for step in steps)
        (tmp_path / f"metrics.{name}csv").write_text(f"step,val/psnr\n{rows}")
    (tmp_path / "checkpoints.1").mkdir()
    curve = [(9.0, 32.0), (19.0, 33.0), (29.0, 33.0), (39.0, 340.0), (49.0, 340.0)]
    assert learning_curve(tmp_path, "val/psnr") == curve


def only_section(root: Path) -> Section:
    (section,) = sections_of(collect(root)[0])
    return section


def make(root: Path, *options: str) -> str:
    return report(compose("report", [f"runs='{root}'", *options])).read_text()


class Page(HTMLParser):
    """Fails where tags are not closed in order; gathers text and addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_length_has_one_name(tmp_path: Path) -> None:
    for epochs, most in ((1, 1), (2, 2), (300, 5)):
        config = f"epochs: {epochs}\ntrainer: {{max_epochs: {most}}}\n"
        baseline = {"set5": {"images": {"x": {"psnr": 33.0, "ssim": 0.9}}}}
        write_run(tmp_path / str(most), {"x": 30.0}, model="net", bicubic=baseline, config=config)
    labels = [m.label for m in only_section(tmp_path).methods]
    assert labels == ["bicubic", "net epochs=1", "net epochs=2", "net epochs=5"]


def test_means_and_ranks(tmp_path: Path) -> None:
    write_run(tmp_path / "good", {"a": 32.0, "b": 34.0}, parameters=2000)
    write_run(tmp_path / "better", {"a": 33.0, "b": 35.0}, parameters=3000)
    write_run(tmp_path / "poor", {"a": 30.0, "b": 31.0})
    table = score_table(only_section(tmp_path), ["psnr", "ssim"])
    assert table.columns == ["model", "set5 PSNR (dB) ↑", "set5 SSIM ↑", "parameters", "MACs (720p)"]
    assert [[c.text for c in row] for row in table.rows] == [
        ["poor", "30.500", "0.7625", "1 K", "1 G"],
        ["good", "33.000", "0.8250", "2 K", "1 G"],
        ["better", "34.000", "0.8500", "3 K", "1 G"],
    ]
    assert [row[1].rank for row in table.rows] == [0, 2, 1]
    # Two values 2 apart: standard error 1, t of one degree of freedom 12.706.
    assert table.rows[1][1].remark == "[20.294, 45.706]"


def test_paired_differences(tmp_path: Path) -> None:
    better = {str(i): 30.0 + i for i in range(8)}
    write_run(tmp_path / "plain", {name: value - 0.5 for name, value in better.items()})
    write_run(tmp_path / "better", better)
    table = paired_table(only_section(tmp_path), "set5", "psnr")
    assert table is not None
    assert table.columns == ["", "plain"]
    ((name, cell),) = table.rows
    # Eight differences of one sign: 2 of the 256 patterns are as extreme.
    assert (name.text, cell.text, cell.remark, cell.rank) == ("better", "+0.500 ± 0.000", "p = 0.008", 1)


def test_protocols_and_scales_have_sections_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"x": 30.0})
    write_run(tmp_path / "b", {"x": 30.0}, scale=4)
    write_run(tmp_path / "c", {"x": 30.0}, protocol="y_matlab")
    write_run(tmp_path / "d", {"x": 30.0}, protocol_fields={"space": "rgb"})  # the name alone is not enough
    write_run(tmp_path / "e", {"x": 30.0}, protocol_fields={"space": "y", "lpips_weights": None})
    write_run(tmp_path / "f", {"x": 30.0}, protocol_fields={"space": "y", "lpips_weights": "here/vgg16.pth"})
    write_run(tmp_path / "g", {"x": 30.0}, protocol_fields={"space": "y", "lpips_weights": "there/vgg16.pth"})
    found = sections_of(collect(tmp_path)[0])
    assert [(s.title, [m.label for m in s.methods]) for s in found] == [
        ("y_matlab, x2", ["c"]),
        ("y_rgb8, x2", ["f", "g"]),
        ("y_rgb8, x2", ["d"]),
        ("y_rgb8, x2", ["a", "e"]),
        ("y_rgb8, x4", ["b"]),
    ]


def test_other_lr_pictures_have_sections_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path / "plain", {"x": 30.0}, config="data: {use_lr: false}")
    write_run(tmp_path / "own", {"x": 30.0}, config="data: {use_lr: true}")
    write_run(tmp_path / "blurred", {"x": 30.0}, degradation={"name": "bd", "sigma": 1.6})
    write_run(tmp_path / "more", {"x": 30.0}, degradation={"name": "bd", "sigma": 3.0})
    found = sections_of(collect(tmp_path)[0])
    assert [(s.title, [m.label for m in s.methods]) for s in found] == [
        ("y_rgb8, x2", ["plain"]),
        ("y_rgb8, LR of the set, x2", ["own"]),
        ("y_rgb8, degradation bd, x2", ["blurred"]),
        ("y_rgb8, degradation bd, x2", ["more"]),
    ]
    assert "degradation.sigma=1.6" in found[2].fields


def test_lr_pictures_as_recorded(tmp_path: Path) -> None:
    def sets(**lr: Any) -> dict[str, Any]:
        return {name: {**made, "images": {"x": {"psnr": 30.0}}} for name, made in lr.items()}

    protocol, files, others = {"lr": "protocol"}, {"lr": "files", "lr_digest": "a" * 16}, {"lr": "files"}
    write_run(tmp_path / "plain", {}, model="bicubic", sets=sets(set5=protocol, hr=protocol))
    write_run(tmp_path / "mixed", {}, model="bicubic", sets=sets(set5=files, hr=protocol))
    # A recorded source goes before what the config of older runs says.
    write_run(tmp_path / "own", {}, model="bicubic", sets=sets(hr=others), config="data: {use_lr: false}")
    made = sets(hr={"lr": "degradation"})
    write_run(tmp_path / "blurred", {}, model="bicubic", sets=made, degradation={"name": "bd"})
    write_run(tmp_path / "baseline", {}, model="net", sets=sets(hr=others), bicubic=sets(hr=others, set5=files))
    found = sections_of(collect(tmp_path)[0])
    assert [(s.title, s.sets, [m.label for m in s.methods]) for s in found] == [
        ("y_rgb8, x2", ["set5", "hr"], ["bicubic"]),
        ("y_rgb8, LR of the set, x2", ["set5", "hr"], ["bicubic", "net"]),
        ("y_rgb8, degradation bd, x2", ["hr"], ["bicubic"]),
    ]


def test_other_files_of_one_name_share_no_table(tmp_path: Path) -> None:
    for folder, psnr, digest in (("one", 29.0, "a"), ("two", 26.0, "b"), ("both", 26.0, "b")):
        files = {"lr": "files", "lr_digest": digest * 16, "images": {"x": {"psnr": psnr}}}
        same = {"lr": "files", "lr_digest": "c" * 16, "images": {"x": {"psnr": 20.0}}}
        write_run(tmp_path / folder, {}, model="bicubic", sets={"hr": files, "same": same})
    found = sections_of(collect(tmp_path)[0])
    texts = [(s.title, [c.text for c in score_table(s, ["psnr"]).rows[0][1:-2]]) for s in found]
    assert texts == [
        ("y_rgb8, LR files aaaaaaaa of hr, x2", ["29.000"]),
        ("y_rgb8, LR files bbbbbbbb of hr, x2", ["26.000"]),
        ("y_rgb8, LR of the set, x2", ["20.000"]),
    ]
    assert [len(s.methods[0].runs) for s in found] == [1, 1, 1]


def test_evaluate_records_the_lr_pictures(picture_folder: Any, tmp_path: Path) -> None:
    from sr_lightning.evaluate import evaluate

    folder = picture_folder()
    for name, rotation in (("lr", 0), ("turned", 2)):
        (tmp_path / name).mkdir()
        for path in folder.iterdir():
            pixels = np.asarray(Image.open(path).convert("RGB"))
            small = pixels[: len(pixels) // 2 * 2 : 2, : pixels.shape[1] // 2 * 2 : 2]
            Image.fromarray(np.rot90(small, rotation)).save(tmp_path / name / path.name)
    runs = tmp_path / "runs"
    keys = ["model=bicubic", "data=folder", f"data.hr_dir={folder}", "scale=2", "device=cpu"]
    for name, more in {"made": [], "own": ["lr"], "again": ["lr"], "other": ["turned"]}.items():
        lr = [f"data.lr_dir={tmp_path / folder}" for folder in more]
        evaluate(compose("evaluate", [*keys, *lr, f"run_dir={runs / name}"]))
    evaluate(compose("evaluate", [*keys, "degradation=bd", f"run_dir={runs / 'bd'}"]))
    results = {path.parent.name: json.loads(path.read_text()) for path in runs.rglob("results.json")}
    records = {name: content["sets"][folder.name.lower()] for name, content in results.items()}
    assert {name: record["lr"] for name, record in records.items()} == {
        "made": "protocol", "own": "files", "again": "files", "other": "files", "bd": "degradation",
    }  # fmt: skip
    assert records["own"]["lr_digest"] == records["again"]["lr_digest"] != records["other"]["lr_digest"]
    assert "lr_digest" not in records["made"] and "lr_digest" not in records["bd"]
    found = sections_of(collect(runs)[0])
    means = {s.title: score_table(s, ["psnr"]).rows[0][1].text for s in found}
    assert len(found) == len(set(means.values())) == 4
    assert f"{records['made']['psnr']:.3f}" == means["y_matlab, x2"]


def test_other_bicubic_is_another_row(tmp_path: Path) -> None:
    config = "model: {rounding: %s}"
    write_run(tmp_path / "a", {"x": 33.678}, model="bicubic", config=config % "none")
    write_run(tmp_path / "b", {"x": 33.664}, model="bicubic", config=config % "per_pass")
    baseline = {"set5": {"images": {"x": {"psnr": 33.6785, "ssim": 33.678 / 40}}}}  # of another device
    write_run(tmp_path / "net", {"x": 35.0}, bicubic=baseline)
    labels = [m.label for m in only_section(tmp_path).methods]
    assert labels == ["bicubic rounding=none", "bicubic rounding=per_pass", "net"]


def test_seeds_are_one_method_and_other_settings_another(tmp_path: Path) -> None:
    config = "model: {num_blocks: 4}\noptimizer: {lr: %s}\nseed: %d\n"
    bicubic = {"set5": {"images": {"x": {"psnr": 20.0, "ssim": 0.5}}}}
    for folder, psnr, lr, seed in (("r1", 30.0, 0.1, 1), ("r2", 31.0, 0.1, 2), ("r3", 28.0, 0.2, 1)):
        write_run(tmp_path / folder, {"x": psnr}, model="net", bicubic=bicubic, config=config % (lr, seed), seed=seed)
    section = only_section(tmp_path)
    assert [m.label for m in section.methods] == ["bicubic", "net lr=0.1", "net lr=0.2"]
    row = score_table(section, ["psnr"]).rows[1]
    assert row[1].text == "30.500"
    assert row[1].remark == "± 0.707 over 2 runs"  # of one picture there is no interval


def test_the_same_weights_scored_twice_count_once(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_run(tmp_path / folder, {"x": 30.0}, model="net", weights="somewhere/net.pth")
    (method,) = only_section(tmp_path).methods
    assert len(method.runs) == 1


def test_other_weights_of_one_network_are_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_run(tmp_path / name, {"x": 30.0}, model="net", weights=f"somewhere/{name}.pth")
    assert [m.label for m in only_section(tmp_path).methods] == ["net (one.pth)", "net (two.pth)"]


def test_infinite_psnr(tmp_path: Path) -> None:
    write_run(tmp_path / "perfect", {"a": None, "b": 31.0, "c": 32.0})
    write_run(tmp_path / "plain", {"a": 30.0, "b": 30.0, "c": 30.0})
    section = only_section(tmp_path)
    (perfect, plain) = score_table(section, ["psnr"]).rows
    values = {"a": {"psnr": math.inf}, "b": {"psnr": 31.0}, "c": {"psnr": 32.0}}
    assert mean_scores(values) == {"psnr": 31.5}
    assert (perfect[1].text, perfect[1].rank, plain[1].rank) == ("31.500", 1, 2)
    assert perfect[1].remark.endswith("without 1 perfect picture")
    table = paired_table(section, "set5", "psnr")
    assert table is not None
    assert table.rows[0][1].text.startswith("+1.500")
    assert table.rows[0][1].remark.endswith(", 2 pictures")
    Page(make(tmp_path))


def test_infinite_where_all_is_perfect_alone(tmp_path: Path) -> None:
    write_run(tmp_path / "perfect", {"a": None, "b": None})
    write_run(tmp_path / "plain", {"a": 30.0, "b": 90.0})
    (perfect, plain) = score_table(only_section(tmp_path), ["psnr"]).rows
    assert (perfect[1].text, perfect[1].remark, perfect[1].rank, plain[1].rank) == ("∞", "", 1, 2)
    Page(make(tmp_path))


@pytest.mark.parametrize("value", [None, "nan"])  # as older versions wrote it, and as this one does
def test_nan_is_no_infinity(tmp_path: Path, value: Any) -> None:
    images = {"a": {"psnr": value, "ssim": value}, "b": {"psnr": 90.0, "ssim": 0.99}}
    write_run(tmp_path / "diverged", {}, sets={"set5": {"images": images}})
    write_run(tmp_path / "good", {"a": 31.0, "b": 32.0})
    write_run(tmp_path / "poor", {"a": 30.0, "b": 31.0})
    section = only_section(tmp_path)
    assert math.isnan(section.methods[0].scores("set5", "psnr")["a"])
    table = score_table(section, ["psnr", "ssim"])
    assert [(row[1].text, row[1].rank) for row in table.rows] == [("nan", 0), ("31.500", 1), ("30.500", 2)]
    paired = paired_table(section, "set5", "psnr")
    assert paired is not None
    assert [row[0].text for row in paired.rows] == ["good", "poor"]  # the diverged one is last
    assert "diverged has nan as PSNR (dB), SSIM of 1 picture of set5" in make(tmp_path)


def test_power_counts_what_can_be_tested(tmp_path: Path) -> None:
    diverged = {"set5": {"images": {str(i): {"psnr": "nan"} for i in range(6)}}}
    write_run(tmp_path / "diverged", {}, sets=diverged)
    for name in ("one", "two"):
        write_run(tmp_path / name, {str(i): 30.0 + i for i in range(5)})
    words = power_note(only_section(tmp_path), "set5", "psnr")
    assert words.startswith("With 5 pictures and 1 pair, the smallest p starts at 0.0625")


def test_null_is_infinity_in_all_that_can_be_infinite(tmp_path: Path) -> None:
    images = {"a": {"psnr": 30.0, "lr_psnr": None, "ssim": 0.9}}
    write_run(tmp_path / "run", {}, sets={"set5": {"images": images}})
    assert only_section(tmp_path).methods[0].scores("set5", "lr_psnr") == {"a": math.inf}


@pytest.mark.parametrize("diverged", ["nan", None])
def test_a_saved_picture_without_numbers_is_a_figure(tmp_path: Path, diverged: Any) -> None:
    images = {"a": {"psnr": diverged, "ssim": diverged}}
    write_pictures(write_run(tmp_path / "a_diverged", {}, sets={"set5": {"images": images}}), 55)
    for name, psnr, shift in (("good", 35.0, 5), ("bad", 25.0, 50)):
        write_pictures(write_run(tmp_path / name, {"a": psnr}), shift)
    html = make(tmp_path)
    Page(html)
    assert "a_diverged has nan as PSNR (dB), SSIM of 1 picture" in html
    # The detail is where the best and the worst differ, and nan is the worst.
    assert make_figure(only_section(tmp_path), "set5/a")[0].box == (60, 36, 24, 24)
    assert "<small>nan dB / nan</small>" in html
    assert "<small><b>35.000 dB</b> / <b>0.8750</b></small>" in html
    assert "<small><u>25.000 dB</u> / <u>0.6250</u></small>" in html


def test_lower_distances_are_better(tmp_path: Path) -> None:
    for name, lpips in (("good", 0.1), ("better", 0.05), ("poor", 0.3)):
        images = {str(i): {"psnr": 30.0, "lpips": lpips * (1 + i / 100)} for i in range(8)}
        write_run(tmp_path / name, {}, sets={"set5": {"images": images}})
    section = only_section(tmp_path)
    table = score_table(section, ["psnr", "lpips"])
    assert table.columns[1:3] == ["set5 PSNR (dB) ↑", "set5 LPIPS ↓"]
    assert {row[0].text: row[2].rank for row in table.rows} == {"good": 2, "better": 1, "poor": 0}
    paired = paired_table(section, "set5", "lpips")
    assert paired is not None
    assert paired.columns == ["", "good", "poor"]
    assert [row[0].text for row in paired.rows] == ["better", "good"]
    assert paired.rows[0][1].text.startswith(f"{MINUS}0.05")
    assert "negative where the row is better" in paired.caption
    other = paired_table(section, "set5", "psnr")
    assert other is not None
    assert "positive where the row is better" in other.caption
    assert r"LPIPS $\downarrow$" in to_latex(table)
    assert "LPIPS ↓ against parameters" in "".join(tradeoffs(section, "set5", "lpips"))


def test_which_metrics_are_distances() -> None:
    classes = {"psnr": metrics.PSNR, "ssim": metrics.SSIM, "ms_ssim": metrics.MSSSIM, "ifc": metrics.IFC}
    classes |= {"lr_psnr": metrics.LRConsistency, "lpips": metrics.LPIPS, "dists": metrics.DISTS}
    assert {*classes} == {*metrics.METRICS} - {"niqe", "blockiness", "noise"}  # of pictures without truth
    assert {name: kind.higher_is_better for name, kind in classes.items()} == {n: n not in LOWER for n in classes}


def test_sets_of_one_name_with_other_pictures_are_not_mixed(tmp_path: Path) -> None:
    write_run(tmp_path / "one", {"a": 30.0, "b": 32.0})
    write_run(tmp_path / "two", {"a": 31.0})  # lacks one: the same set
    write_run(tmp_path / "three", {"y": 20.0, "z": 22.0})
    section = only_section(tmp_path)
    assert section.sets == ["set5 (a to b)", "set5 (y to z)"]
    means = {m.label: [m.interval(name, "psnr")[0] for name in section.sets] for m in section.methods}
    assert means["one"][0] == 31 and means["two"][0] == 31 and means["three"][1] == 21
    assert all(map(math.isnan, [means["one"][1], means["two"][1], means["three"][0]]))


def test_the_terminal_shows_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a_b_c", {"x": 30.0, "y": 31.0}, parameters=1_234_567, macs_720p=28_600_000_000)
    write_run(tmp_path / "d", {"x": 29.0, "y": 30.0})
    make(tmp_path)
    printed = capsys.readouterr().out
    assert "a_b_c" in printed and "30.500*" in printed and "1.23 M" in printed and "28.6 G" in printed
    assert not any(mark in printed for mark in ("|", "\\", "**", "&lt;"))


def test_an_interval_stays_where_the_metric_can_be(tmp_path: Path) -> None:
    images = {"a": {"lpips": 0.01, "ssim": 0.9}, "b": {"lpips": 0.2, "ssim": 1.0}}
    write_run(tmp_path / "run", {}, sets={"set5": {"images": images}})
    (row,) = score_table(only_section(tmp_path), ["lpips", "ssim"]).rows
    assert row[1].remark.startswith("[0.0000, ")
    assert row[2].remark.endswith(", 1.0000]")


def test_broken_results_are_named_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write_run(tmp_path / "whole", {"a": 30.0}) / "results.json"
    for name, text in (
        ("half", whole.read_text()[:100]), ("empty", ""), ("list", "[1]"), ("keys", "{}"), ("binary", "\udcff"),
        ("nothing", '{"protocol": "p", "scale": 2, "model": "m", "sets": {}}'),
        ("images", '{"protocol": "p", "scale": 2, "model": "m", "sets": {"set5": {"images": {"a": 3}}}}'),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(text, errors="surrogateescape")
    html = make(tmp_path)
    printed = capsys.readouterr()
    assert "7 result files skipped" in html
    assert "7 result files skipped" in printed.out
    for name in ("half", "empty", "list", "keys", "binary", "nothing", "images"):
        assert f"{name}/results.json: is" in html
        assert f"skipped {name}/results.json: is" in printed.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["metrics=[lpips]"], "no run has 'lpips'"),
        (["figure=set5/butterfly"], "save_images=true"),
        (["box=[1,2,3]"], "four whole numbers"),
        (["box=[0,0,10.5,3]"], "four whole numbers"),
        (["box=7"], "four whole numbers"),
    ],
)
def test_wrong_options(tmp_path: Path, options: list[str], words: str) -> None:
    write_run(tmp_path / "run", {"a": 30.0})
    with pytest.raises(ConfigError, match=re.escape(words)):
        make(tmp_path, *options)
    assert not (tmp_path / "report.html").exists()


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no results\.json in any"):
        make(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        make(tmp_path / "elsewhere")
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(DataError, match="1 cannot"):
        make(tmp_path)


def test_page_is_whole_alone_and_the_same_again(tmp_path: Path) -> None:
    for i, name in enumerate(("bicubic", "net", NASTY)):
        folder = write_run(tmp_path / f"run{i}", {"a": 30.0 + i, NASTY: 31.0}, model=name, parameters=i * 1000)
        write_pictures(folder, 10 * i)
        (folder / "metrics.csv").write_text("epoch,step,train/loss,val/psnr\n0,4,0.5,\n0,9,,30.5\n1,x,,nan\n1,19,,31\n")
    html = make(tmp_path)
    page = Page(html)
    assert page.addresses
    assert all(a.startswith(("data:image/", "#")) for a in page.addresses)
    assert not re.search(r"url\(|@import|<script|https?:", html)
    assert NASTY in page.words
    assert "<b>&_" not in html
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)
    first = {path.name: path.read_bytes() for path in tmp_path.glob("report.*")}
    assert set(first) == {"report.html", "report.md", "report.tex"}
    make(tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.glob("report.*")}
    assert str(tmp_path) not in html


def test_formats_mark_and_escape(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"a": 32.0}, model=NASTY)
    write_run(tmp_path / "other", {"a": 30.0}, parameters=1)
    table = score_table(only_section(tmp_path), ["psnr"])
    latex, text = to_latex(table), to_markdown(table)
    assert r"$<$b$>$\&\_\% & \textbf{32.000} & 1 K & 1 G \\" in latex
    assert r"other & \underline{30.000} & 1 & 1 G \\" in latex
    assert re.search(r"\| &lt;b>&amp;\\_% +\| \*\*32\.000\*\* +\|", text)
    assert escape_latex("a\\b^{~}") == r"a\textbackslash{}b\textasciicircum{}\{\textasciitilde{}\}"
    assert escape_markdown("a|b\n*c*") == r"a\|b \*c\*"


def test_plots_are_svg(tmp_path: Path) -> None:
    points = [(NASTY, 1e3, 30.0), ("same place", 1e3, 30.0), ("far", 1e6, 31.0)]
    plot = ElementTree.fromstring(scatter(points, "parameters", "PSNR (dB)", title=NASTY, lines=[("bicubic", 29.0)]))
    assert len(plot.findall("circle")) == 3
    words = [text.text for text in plot.iter("text")]
    assert {NASTY, "same place", "far", "bicubic", "parameters", "PSNR (dB)", "10 K"} <= set(words)
    x = [float(c.get("cx", "")) for c in plot.findall("circle")]
    y = [float(c.get("cy", "")) for c in plot.findall("circle")]
    assert x[0] == x[1] < x[2]
    assert y[0] > y[2]  # better is higher
    labels = [t for t in plot.iter("text") if t.get("class") == "label"]
    places = {(t.get("x"), t.get("y")) for t in labels}
    assert len(places) == len(labels)  # no label on another
    series = [(f"run {i}", [(0.0, float(i)), (9.0, 5.0)]) for i in range(12)]
    assert len(ElementTree.fromstring(curves(series, "step", "loss", title="x")).findall("path[@class='curve']")) == 12
    ElementTree.fromstring(legend([NASTY]))
    ElementTree.fromstring(curves([("one point", [(3.0, 2.0)])], "step", "loss", title="x"))


def test_figure_shows_the_detail_that_differs(tmp_path: Path) -> None:
    for name, psnr, shift in (("good", 35.0, 5), ("bad", 25.0, 50)):
        write_pictures(write_run(tmp_path / name, {"a": psnr, "b": 30.0}), shift, truth=name == "bad")
    section = only_section(tmp_path)
    assert list(picture_names(section)) == ["set5/a"]
    assert most_different_picture(section) == "set5/a"
    figure, notes = make_figure(section, "set5/a")
    assert notes == []
    assert figure.size == (120, 100)
    assert figure.box == (60, 36, 24, 24)
    assert [(p.label, p.scores.get("psnr")) for p in figure.panels] == [("HR", None), ("bad", 25), ("good", 35)]
    truth, bad, good = (decode(panel.uri).astype(int) for panel in figure.panels)
    assert (bad - truth == 50).all()
    assert (good - truth == 5).all()
    chosen, _ = make_figure(section, "set5/a", box=[0, 90, 30, 10])
    whole = np.asarray(Image.open(tmp_path / "bad/pictures/set5/a.png"))
    assert (decode(chosen.panels[1].uri) == whole[90:, :30]).all()
    with pytest.raises(ConfigError, match="reaches out"):
        make_figure(section, "set5/a", box=[100, 0, 30, 30])


def decode(uri: str) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_missing_truth_and_damaged_picture_are_notes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_pictures(write_run(tmp_path / name, {"a": 30.0}), 5, truth=False)
    (tmp_path / "two/pictures/set5/a.png").write_bytes(b"no picture")
    html = make(tmp_path)
    assert "no truth of set5/a" in html
    assert "two/pictures/set5/a.png: not a picture" in html
    assert html.count('<img src="data:image/png') == 1


@pytest.mark.parametrize(
    "name", ["../../../../secret", "/{}/secret", "hr/../../../../../secret", "link", "\0", "x" * 300]
)
def test_pictures_of_elsewhere_are_not_shown(tmp_path: Path, name: str) -> None:
    """A result file of others may name any file that its reader can read."""
    Image.new("RGB", (100, 120)).save(tmp_path / "secret.png")
    runs = tmp_path / "runs"
    folder = write_run(runs / "foreign", {name.format(tmp_path): 30.0})
    write_pictures(folder, 5, name="mine")
    (folder / "pictures/set5/link.png").symlink_to(tmp_path / "secret.png")
    assert picture_names(only_section(runs)) == {}
    assert "data:image" not in make(runs)


def test_truth_of_elsewhere_is_not_shown(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs/foreign", {"a": 30.0})
    write_pictures(folder, 5, truth=False)
    Image.open(folder / "pictures/set5/a.png").save(tmp_path / "secret.png")
    (folder / "pictures/set5/hr/a.png").symlink_to(tmp_path / "secret.png")
    figure, notes = make_figure(only_section(tmp_path / "runs"), "set5/a")
    assert [panel.label for panel in figure.panels] == ["foreign"]
    assert "no truth of set5/a" in notes[0]


def test_missing_pictures_and_uneven_sets_are_notes(tmp_path: Path) -> None:
    write_run(tmp_path / "one", {"a": 30.0, "b": 31.0})
    write_run(tmp_path / "two", {"a": 30.0})
    html = make(tmp_path)
    assert "no pictures to compare; evaluate with save_images=true" in html
    assert "two has 1 of the 2 pictures of set5" in html


def test_typed_command(tmp_path: Path) -> None:
    root = tmp_path / "my runs, lr=0.1"
    write_run(root / "net", {"a": 30.0, "b": 31.0})
    done = run_here("report", f"{root.name}/", "metrics=[psnr]", "output=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {root.name, "out"}
    assert "SSIM" not in (tmp_path / "out/report.md").read_text().split("Means are")[0]
    wrong = run_here("report", "elsewhere", cwd=tmp_path)
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines()[0].startswith("error: elsewhere: no such folder")


def test_evaluate_saves_what_the_figure_needs(tmp_path: Path) -> None:
    from sr_lightning.evaluate import evaluate

    options = ["model=bicubic", "data=samples", "scale=4", "save_images=true", "device=cpu"]
    result = evaluate(compose("evaluate", [*options, f"run_dir={tmp_path}/bicubic"]))
    section = only_section(tmp_path)
    assert list(picture_names(section)) == ["samples/astronaut", "samples/chelsea"]
    figure, notes = make_figure(section, "samples/chelsea")
    assert notes == []
    assert figure.size == (448, 300)  # 451 wide, cropped to a multiple of the scale
    truth, sr = (decode(panel.uri).astype(float) for panel in figure.panels)
    assert 1 < np.abs(truth - sr).mean() < 20
    mean = result["sets"]["samples"]["psnr"]
    assert f">{mean:.3f}<" in make(tmp_path)


def test_long_curves_are_thinned() -> None:
    points = [(float(i), float(i % 7)) for i in range(100_000)]
    svg = curves([("long", points)], "step", "loss", title="x")
    assert len(svg) < 12_000
    assert "100 K" in svg
